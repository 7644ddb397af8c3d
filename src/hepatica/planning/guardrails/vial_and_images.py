"""Guardrails on spheres, the vial, its times, the delivery, and the images that planning rests on."""

from hepatica.core.numbers.confidence import FROM_MEMORY
from hepatica.planning.guardrails.rule import Guardrail

SPHERES = (
    Guardrail(
        "spheres-too-few",
        "warning",
        ("spheres_per_ml", "agent_form"),
        lambda s: s.agent_form == "microspheres" and s.spheres_per_ml < 500,
        "{spheres_per_ml:.0f} spheres per mL: the dose is uneven between lobules; a later calibration day gives more.",
        "glass, Pasciak 2020",
        FROM_MEMORY,
    ),
    Guardrail(
        "spheres-too-many",
        "warning",
        ("spheres_per_ml", "agent_form"),
        lambda s: s.agent_form == "microspheres" and s.spheres_per_ml > 60000,
        "{spheres_per_ml:.0f} spheres per mL: stasis before the activity is in is likely; order hotter spheres.",
        "resin",
        FROM_MEMORY,
    ),
    Guardrail(
        "embolic-load",
        "warning",
        ("spheres_million",),
        lambda s: s.spheres_million > 60,
        "{spheres_million:.0f} million spheres: high embolic load; split the treatment or order hotter spheres.",
    ),
    Guardrail(
        "sphere-cold",
        "note",
        ("activity_per_sphere_bq", "agent"),
        lambda s: s.agent == "glass" and s.activity_per_sphere_bq < 300,
        "{activity_per_sphere_bq:.0f} Bq per glass sphere: a vial late in its life, many spheres per GBq.",
    ),
    Guardrail(
        "holmium-mass",
        "note",
        ("carrier_mass_mg", "agent"),
        lambda s: s.agent == "ho166-plla" and s.carrier_mass_mg > 600,
        "{carrier_mass_mg:.0f} mg of holmium spheres exceed the usual 600 mg: order a higher specific activity.",
        "PMC8583383 Table 4",
    ),
    Guardrail(
        "lipiodol-volume",
        "warning",
        ("lipiodol_ml",),
        lambda s: s.lipiodol_ml > 15,
        "{lipiodol_ml:.0f} mL of lipiodol: above 15 mL pulmonary oil embolism becomes likely.",
    ),
)

VIAL = (
    Guardrail(
        "vial-expired",
        "stop",
        ("hours_after_calibration", "shelf_life_h"),
        lambda s: s.hours_after_calibration > s.shelf_life_h,
        "The vial expires {shelf_life_h:.0f} h after calibration and would be used at {hours_after_calibration:.0f} h: "
        "order another.",
        "labels",
    ),
    Guardrail(
        "vial-before-calibration",
        "note",
        ("hours_after_calibration",),
        lambda s: s.hours_after_calibration < 0,
        "The vial is used before its calibration time: it holds more than its nominal activity.",
    ),
    Guardrail(
        "vial-nuclide",
        "stop",
        ("vial_nuclide", "nuclide"),
        lambda s: s.vial_nuclide != s.nuclide,
        "The vial holds {vial_nuclide}, the plan is for {nuclide}.",
    ),
    Guardrail(
        "vial-agent",
        "stop",
        ("vial_agent", "agent"),
        lambda s: s.vial_agent != s.agent,
        "The vial is {vial_agent}, the plan is for {agent}.",
    ),
    Guardrail(
        "time-zone",
        "stop",
        ("time_zone_stated",),
        lambda s: not s.time_zone_stated,
        "A time has no zone: calibration is given in the maker's zone; state both with zone.",
    ),
    Guardrail(
        "clock-change",
        "note",
        ("clock_change_between",),
        lambda s: s.clock_change_between,
        "Clocks change between calibration and injection; hepatica counts true hours, a table on paper may not.",
    ),
    Guardrail(
        "injection-past",
        "warning",
        ("injection_in_past",),
        lambda s: s.injection_in_past,
        "The injection is dated in the past: check the date.",
    ),
    Guardrail(
        "order-late",
        "warning",
        ("order_lead_days",),
        lambda s: s.order_lead_days < 3,
        "Only {order_lead_days:.0f} days to order; ask whether the maker can deliver.",
    ),
    Guardrail(
        "vial-reading",
        "warning",
        ("vial_reading_over_label",),
        lambda s: abs(s.vial_reading_over_label - 1) > 0.1,
        "The calibrator reads {vial_reading_over_label:.0%} of the stated activity: more than 10 % off, find out why.",
    ),
    Guardrail(
        "several-vials",
        "note",
        ("vials_count",),
        lambda s: s.vials_count > 1,
        "{vials_count} vials: measure and book each, and its residual, apart.",
    ),
    Guardrail(
        "calibrator-old",
        "warning",
        ("calibrator_check_days",),
        lambda s: s.calibrator_check_days > 1,
        "The dose calibrator was last checked {calibrator_check_days:.0f} days ago: check it on the day.",
    ),
    Guardrail(
        "calibrator-factor",
        "stop",
        ("calibrator_factor_for_nuclide",),
        lambda s: not s.calibrator_factor_for_nuclide,
        "The dose calibrator has no factor for this nuclide and vial: its reading is not an activity.",
    ),
)

DELIVERY = (
    Guardrail(
        "residual-high",
        "warning",
        ("residual_measured",),
        lambda s: s.residual_measured > 0.05,
        "{residual_measured:.0%} stayed behind: recompute the delivered dose and look for the cause.",
    ),
    Guardrail(
        "residual-negative",
        "stop",
        ("residual_measured",),
        lambda s: s.residual_measured < 0,
        "The waste reads less than nothing: check background and times of the readings.",
    ),
    Guardrail(
        "delivered-less",
        "warning",
        ("delivered_over_planned",),
        lambda s: s.delivered_over_planned < 0.9,
        "{delivered_over_planned:.0%} of the plan was delivered: report the delivered dose, decide on completion.",
    ),
    Guardrail(
        "delivered-more",
        "stop",
        ("delivered_over_planned",),
        lambda s: s.delivered_over_planned > 1.1,
        "{delivered_over_planned:.0%} of the plan was delivered: check vial and units; this may be reportable.",
    ),
    Guardrail(
        "stasis",
        "note",
        ("stasis",),
        lambda s: s.stasis,
        "Stasis ended the injection: the delivered activity and distribution differ from plan; image them.",
    ),
    Guardrail(
        "reflux",
        "warning",
        ("reflux",),
        lambda s: s.reflux,
        "Reflux was seen: look for extrahepatic uptake on the post-therapy scan.",
    ),
    Guardrail(
        "catheter-changed",
        "warning",
        ("catheter_position_changed",),
        lambda s: s.catheter_position_changed,
        "The catheter tip is not where it was at the scout: the planned distribution does not hold.",
    ),
)

IMAGES = (
    Guardrail(
        "identity",
        "stop",
        ("patient_identity_matches",),
        lambda s: not s.patient_identity_matches,
        "The images belong to different patients.",
    ),
    Guardrail(
        "registration",
        "warning",
        ("registration_error_mm",),
        lambda s: s.registration_error_mm > 10,
        "Images are misaligned by {registration_error_mm:.0f} mm: register them again before taking counts.",
    ),
    Guardrail(
        "coarse-voxels",
        "note",
        ("voxel_mm",),
        lambda s: s.voxel_mm > 5,
        "Voxels of {voxel_mm:.1f} mm: D95 and small lesions are unreliable.",
    ),
    Guardrail(
        "ct-old",
        "note",
        ("ct_age_days",),
        lambda s: s.ct_age_days > 30,
        "The CT behind the volumes is {ct_age_days:.0f} days old: tumours may have grown.",
    ),
)

AFTER = (
    Guardrail(
        "image-activity",
        "warning",
        ("image_over_administered",),
        lambda s: abs(s.image_over_administered - 1) > 0.2,
        "The image holds {image_over_administered:.0%} of the administered activity: check calibration, "
        "times, field of "
        "view.",
    ),
    Guardrail(
        "scout-therapy-disagree",
        "warning",
        ("lesion_correlation",),
        lambda s: s.lesion_correlation < 0.5,
        "Scout and therapy correlate with r = {lesion_correlation:.2f}: rest the judgement on the therapy scan.",
    ),
)
