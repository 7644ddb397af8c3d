"""Projections of a gamma camera by Monte Carlo with forced detection.

Photons of the nuclide's lines, and the bremsstrahlung that its electrons make in the patient's own voxels, are followed
through the CT; at each emission and each scatter, what would reach each view is added there through the camera's
angular response (collimator, septa, crystal: `imaging.detector`). See `projector.MonteCarloProjector`.

Methods: forced detection with angular response functions, Descourt et al., Phys Med Biol 2010;55:N253, and Song et al.,
Phys Med Biol 2005;50:1791; variance reduction by forced detection in SPECT, de Jong et al., IEEE Trans Nucl Sci
2001;48:58; 90Y bremsstrahlung, Elschot et al., Eur J Nucl Med Mol Imaging 2013;40:1565 (there with a point-source
energy spectrum and response kernels, here with the electrons themselves).
"""
