"""What a file can be in a patient's course."""

from __future__ import annotations

from collections.abc import Mapping

ROLES: Mapping[str, str] = {
    "baseline-ct": "CT before treatment, without a nuclear image",
    "baseline-mr": "MR before treatment",
    "scout-spect": "SPECT of the scout: 99mTc-MAA, or 166Ho scout dose",
    "scout-planar": "planar views of the scout",
    "scout-projections": "SPECT projections of the scout",
    "scout-ct": "CT of the scout's SPECT/CT",
    "scout-structures": "structures drawn on the scout's SPECT/CT",
    "injection-view": "frames of the camera before an injection, best of the empty field",
    "injection-frames": "dynamic gamma camera series of an injection, or MR of holmium repeated in time",
    "injection-setup": "setup of a watched injection (JSON)",
    "injection-readings": "readings of the meter during an injection",
    "injection-structures": "structures drawn on the MR of an injection",
    "therapy-pet": "PET after treatment",
    "therapy-spect": "SPECT after treatment",
    "therapy-projections": "SPECT projections after treatment",
    "therapy-coincidences": "PET raw data after treatment",
    "therapy-planar": "planar views after treatment",
    "therapy-ct": "CT of the PET/CT or SPECT/CT after treatment",
    "therapy-mr": "MR after treatment with holmium",
    "therapy-structures": "structures drawn on the images after treatment",
    "baseline-structures": "structures drawn on a CT or MR before treatment",
    "follow-up-ct": "CT weeks after treatment",
    "follow-up-mr": "MR weeks after treatment",
    "follow-up-structures": "structures drawn on a CT or MR weeks after treatment",
    "registration": "registration of two frames of reference",
    "mr-registration": "registration of the MR before to the MR after treatment",
    "calibration": "calibration file of a camera",
    "recovery": "recovery curve of a camera",
    "labs": "table of laboratory values",
    "measurements": "table of lesion sizes",
    "dose": "dose map that another program made",
    "unused": "nothing that a step needs",
}
"""Role -> what it is, in the order of the course."""
