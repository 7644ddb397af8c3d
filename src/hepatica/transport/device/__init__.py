"""Every Warp function: photons and electrons in the patient, photons in the camera's head.

One source that compiles for the CPU and for CUDA. Units inside: keV, mm, density g/mL, mass thickness mm g/mL. A worker
(a GPU thread, or a CPU thread's loop) takes histories one after another; each has its own random stream, so the result
does not depend on who follows it. ``random``, ``geometry``, ``physics`` and ``stack`` are what all share; ``photon``
and ``electron`` follow one particle; ``decays``, ``camera_views`` and ``camera_head`` hold the kernels.

These modules are only imported where transport is run: they need warp, which takes a second to load.
"""
