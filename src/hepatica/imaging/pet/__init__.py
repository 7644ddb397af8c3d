"""Positron emission tomography in list mode: scanners, lines, what coincidences mean, reconstruction.

A scanner is data (`scanner`); coincidences are pairs of crystals with a time difference (`coincidences`); the lines
between them and their transpose are `lines`. 90Y has few true coincidences among many random ones: everything here is
made for a list of a few million events, not for the half a billion bins of a sinogram with time of flight.
"""
