"""Pictures of images and where they lie: planes, anatomy, registration, segmentation."""
