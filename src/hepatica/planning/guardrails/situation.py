"""What a guardrail can look at: everything a team knows (or may not know) when it plans, orders or delivers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Situation:
    """Facts of a case; None where not known, and then the guardrails that need it are not evaluated.

    Names carry the unit. Fractions are 0 to 1. Several lesions or territories: the worst one.
    """

    # agent and convention
    agent: str | None = None
    agent_nuclide: str | None = None
    nuclide: str | None = None
    agent_form: str | None = None
    agent_purpose: str | None = None
    agent_approved: bool | None = None
    has_label_rule: bool | None = None
    rule_labelled_for_agent: bool | None = None
    convention: str | None = None
    method: str | None = None
    intent: str | None = None
    indication: str | None = None

    # patient
    age_years: float | None = None
    bilirubin_mg_dl: float | None = None
    albumin_g_l: float | None = None
    inr: float | None = None
    platelets_g_l: float | None = None
    egfr_ml_min: float | None = None
    child_pugh_score: int | None = None
    ecog: int | None = None
    ascites: bool | None = None
    encephalopathy: bool | None = None
    pregnant: bool | None = None
    breast_feeding: bool | None = None
    life_expectancy_months: float | None = None
    main_portal_vein_thrombosis: bool | None = None
    biliary_stent_or_anastomosis: bool | None = None
    previous_liver_external_beam_gy: float | None = None
    previous_tare_count: int | None = None
    days_since_previous_tare: float | None = None
    bevacizumab_days_ago: float | None = None
    capecitabine_days_ago: float | None = None
    thyroid_blocked: bool | None = None
    oxygen_dependent: bool | None = None

    # lung shunt
    lung_shunt: float | None = None
    lung_shunt_sd: float | None = None
    lung_shunt_method: str | None = None
    lung_shunt_decides: bool | None = None
    lung_mass_kg: float | None = None
    lung_mass_measured: bool | None = None
    lung_dose_gy: float | None = None
    lung_dose_cumulative_gy: float | None = None
    lungs_extrapolated_share: float | None = None
    dome_margin_effect: float | None = None
    scout_to_scan_h: float | None = None
    scout_to_therapy_days: float | None = None
    scout_activity_mbq: float | None = None
    scout_agent: str | None = None
    labelling_yield: float | None = None
    scan_after_embolisation: bool | None = None

    # uptake
    tumour_to_normal: float | None = None
    tumour_to_normal_max: float | None = None
    tumour_to_normal_relative_sd: float | None = None
    tumour_to_normal_definition: str | None = None
    smallest_lesion_ml: float | None = None
    lesions_count: int | None = None
    expected_recovery: float | None = None
    necrotic_share: float | None = None
    normal_liver_counts_share: float | None = None

    # volumes
    liver_ml: float | None = None
    tumour_ml: float | None = None
    perfused_ml: float | None = None
    normal_mass_kg: float | None = None
    tumour_mass_kg: float | None = None
    involvement: float | None = None
    territory_outside_liver_share: float | None = None
    territories_overlap_ml: float | None = None
    tumour_outside_territories_share: float | None = None
    hepatic_reserve: float | None = None
    future_remnant_share: float | None = None
    perfused_scout_volume_difference: float | None = None
    segments_treated: int | None = None

    # elsewhere
    share_elsewhere: float | None = None
    extrahepatic_dose_gy: float | None = None
    extrahepatic_in_gut: bool | None = None
    stomach_dose_gy: float | None = None
    duodenum_dose_gy: float | None = None
    bowel_dose_gy: float | None = None
    pancreas_dose_gy: float | None = None
    gallbladder_dose_gy: float | None = None
    free_pertechnetate_suspected: bool | None = None
    falciform_uptake: bool | None = None

    # activity and dose
    planned_gbq: float | None = None
    administered_gbq: float | None = None
    largest_vial_gbq: float | None = None
    methods_ratio: float | None = None
    residual: float | None = None
    dose_tumour_gy: float | None = None
    dose_tumour_target_gy: float | None = None
    dose_normal_liver_gy: float | None = None
    dose_normal_limit_gy: float | None = None
    dose_perfused_gy: float | None = None
    dose_aim_gy: float | None = None
    dose_largest_gy: float | None = None
    energy_j: float | None = None
    probability_tumour: float | None = None
    probability_normal_exceeded: float | None = None

    # spheres
    spheres_per_ml: float | None = None
    spheres_million: float | None = None
    activity_per_sphere_bq: float | None = None
    carrier_mass_mg: float | None = None
    lipiodol_ml: float | None = None

    # vial and time
    hours_after_calibration: float | None = None
    shelf_life_h: float | None = None
    vial_nuclide: str | None = None
    vial_agent: str | None = None
    time_zone_stated: bool | None = None
    injection_in_past: bool | None = None
    order_lead_days: float | None = None
    clock_change_between: bool | None = None
    vial_reading_over_label: float | None = None
    vials_count: int | None = None
    calibrator_check_days: float | None = None
    calibrator_factor_for_nuclide: bool | None = None

    # delivery and images
    residual_measured: float | None = None
    delivered_over_planned: float | None = None
    stasis: bool | None = None
    reflux: bool | None = None
    catheter_position_changed: bool | None = None
    image_over_administered: float | None = None
    registration_error_mm: float | None = None
    voxel_mm: float | None = None
    lesion_correlation: float | None = None
    patient_identity_matches: bool | None = None
    ct_age_days: float | None = None
