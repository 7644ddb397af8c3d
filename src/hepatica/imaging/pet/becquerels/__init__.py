"""From a PET image to becquerels: positrons per decay, cross-calibration, detection limits, checks.

The recovery of small objects is `hepatica.imaging.quantify.recovery`, which takes PET images as it takes SPECT.
"""
