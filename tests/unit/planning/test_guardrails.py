"""Every guardrail speaks when it should, keeps quiet when it should not, and is silent without its facts."""

import pytest

from hepatica.planning.guardrails import GUARDRAILS, Situation, check, together
from hepatica.planning.guardrails.rule import review

# id -> (a situation in which it speaks, one in which it is quiet)
CASES: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "shunt-over-20": ({"lung_shunt": 0.21}, {"lung_shunt": 0.20}),
    "shunt-over-20-resin": ({"lung_shunt": 0.25, "agent": "resin"}, {"lung_shunt": 0.25, "agent": "glass"}),
    "shunt-10-to-20-resin": ({"lung_shunt": 0.12, "agent": "resin"}, {"lung_shunt": 0.08, "agent": "resin"}),
    "shunt-zero": ({"lung_shunt": 0.0}, {"lung_shunt": 0.01}),
    "shunt-implausibly-low": ({"lung_shunt": 0.001}, {"lung_shunt": 0.01}),
    "shunt-uncertain": ({"lung_shunt": 0.1, "lung_shunt_sd": 0.04}, {"lung_shunt": 0.1, "lung_shunt_sd": 0.02}),
    "shunt-planar-decides": (
        {"lung_shunt_method": "planar", "lung_shunt_decides": True},
        {"lung_shunt_method": "spect", "lung_shunt_decides": True},
    ),
    "lung-mass-assumed": ({"lung_mass_measured": False}, {"lung_mass_measured": True}),
    "lung-mass-implausible": ({"lung_mass_kg": 0.1}, {"lung_mass_kg": 0.9}),
    "lung-dose-30": ({"lung_dose_gy": 31.0}, {"lung_dose_gy": 30.0}),
    "lung-dose-near-30": ({"lung_dose_gy": 28.0}, {"lung_dose_gy": 31.0}),
    "lung-dose-cumulative-50": ({"lung_dose_cumulative_gy": 51.0}, {"lung_dose_cumulative_gy": 49.0}),
    "lung-dose-strict-practice": ({"lung_dose_gy": 18.0}, {"lung_dose_gy": 10.0}),
    "oxygen-dependent": (
        {"oxygen_dependent": True, "lung_dose_gy": 12.0},
        {"oxygen_dependent": True, "lung_dose_gy": 5.0},
    ),
    "lungs-truncated": ({"lungs_extrapolated_share": 0.5}, {"lungs_extrapolated_share": 0.1}),
    "dome-margin-matters": ({"dome_margin_effect": -0.4}, {"dome_margin_effect": -0.1}),
    "maa-late": ({"scout_to_scan_h": 2.0}, {"scout_to_scan_h": 0.5}),
    "maa-labelling": ({"labelling_yield": 0.9}, {"labelling_yield": 0.98}),
    "scout-too-old": ({"scout_to_therapy_days": 40.0}, {"scout_to_therapy_days": 10.0}),
    "scout-after-therapy": ({"scout_to_therapy_days": -1.0}, {"scout_to_therapy_days": 1.0}),
    "scout-activity-odd": (
        {"scout_agent": "maa", "scout_activity_mbq": 400.0},
        {"scout_agent": "maa", "scout_activity_mbq": 150.0},
    ),
    "holmium-scout-activity": (
        {"agent_nuclide": "Ho-166", "scout_agent": "ho166-scout", "scout_activity_mbq": 300.0},
        {"agent_nuclide": "Ho-166", "scout_agent": "ho166-scout", "scout_activity_mbq": 250.0},
    ),
    "scout-after-embolisation": ({"scan_after_embolisation": True}, {"scan_after_embolisation": False}),
    "scout-other-agent": (
        {"scout_agent": "maa", "agent": "ho166-plla"},
        {"scout_agent": "maa", "agent": "glass"},
    ),
    "tn-below-1": ({"tumour_to_normal": 0.8}, {"tumour_to_normal": 1.2}),
    "tn-below-2": ({"tumour_to_normal": 1.5}, {"tumour_to_normal": 3.0}),
    "tn-very-high": ({"tumour_to_normal_max": 30.0}, {"tumour_to_normal_max": 8.0}),
    "tn-uncertain": ({"tumour_to_normal_relative_sd": 0.5}, {"tumour_to_normal_relative_sd": 0.1}),
    "tn-definition": (
        {"tumour_to_normal_definition": "activity", "method": "partition"},
        {"tumour_to_normal_definition": "concentration", "method": "partition"},
    ),
    "tiny-tumour": ({"smallest_lesion_ml": 1.0}, {"smallest_lesion_ml": 20.0}),
    "recovery-low": ({"expected_recovery": 0.5}, {"expected_recovery": 0.9}),
    "necrosis": ({"necrotic_share": 0.5}, {"necrotic_share": 0.1}),
    "many-lesions": ({"lesions_count": 15}, {"lesions_count": 3}),
    "normal-liver-cold": ({"normal_liver_counts_share": 0.01}, {"normal_liver_counts_share": 0.3}),
    "liver-implausible": ({"liver_ml": 1.5}, {"liver_ml": 1500.0}),
    "tumour-exceeds-liver": ({"tumour_ml": 1600.0, "liver_ml": 1500.0}, {"tumour_ml": 100.0, "liver_ml": 1500.0}),
    "perfused-exceeds-liver": ({"perfused_ml": 1600.0, "liver_ml": 1500.0}, {"perfused_ml": 900.0, "liver_ml": 1500.0}),
    "territory-outside-liver": ({"territory_outside_liver_share": 0.2}, {"territory_outside_liver_share": 0.01}),
    "territories-overlap": ({"territories_overlap_ml": 30.0}, {"territories_overlap_ml": 0.2}),
    "tumour-outside-territory": ({"tumour_outside_territories_share": 0.3}, {"tumour_outside_territories_share": 0.0}),
    "perfused-tiny": ({"perfused_ml": 10.0}, {"perfused_ml": 400.0}),
    "involvement-high": ({"involvement": 0.6}, {"involvement": 0.2}),
    "involvement-very-high": ({"involvement": 0.8}, {"involvement": 0.6}),
    "reserve-low": ({"hepatic_reserve": 0.2}, {"hepatic_reserve": 0.5}),
    "remnant-small": (
        {"future_remnant_share": 0.2, "intent": "lobectomy"},
        {"future_remnant_share": 0.4, "intent": "lobectomy"},
    ),
    "whole-liver-single-session": (
        {"hepatic_reserve": 0.0, "intent": "whole-liver"},
        {"hepatic_reserve": 0.4, "intent": "unilobar"},
    ),
    "perfusion-mismatch": ({"perfused_scout_volume_difference": 0.3}, {"perfused_scout_volume_difference": 0.05}),
    "segmentectomy-too-wide": (
        {"intent": "segmentectomy", "segments_treated": 3},
        {"intent": "segmentectomy", "segments_treated": 2},
    ),
    "counts-elsewhere": ({"share_elsewhere": 0.15}, {"share_elsewhere": 0.03}),
    "gut-uptake": ({"extrahepatic_in_gut": True}, {"extrahepatic_in_gut": False}),
    "extrahepatic-dose": ({"extrahepatic_dose_gy": 20.0}, {"extrahepatic_dose_gy": 2.0}),
    "stomach": ({"stomach_dose_gy": 20.0}, {"stomach_dose_gy": 2.0}),
    "duodenum": ({"duodenum_dose_gy": 20.0}, {"duodenum_dose_gy": 2.0}),
    "bowel": ({"bowel_dose_gy": 20.0}, {"bowel_dose_gy": 2.0}),
    "pancreas": ({"pancreas_dose_gy": 20.0}, {"pancreas_dose_gy": 2.0}),
    "gallbladder": ({"gallbladder_dose_gy": 70.0}, {"gallbladder_dose_gy": 20.0}),
    "free-pertechnetate": ({"free_pertechnetate_suspected": True}, {"free_pertechnetate_suspected": False}),
    "falciform": ({"falciform_uptake": True}, {"falciform_uptake": False}),
    "bilirubin-2": ({"bilirubin_mg_dl": 2.5}, {"bilirubin_mg_dl": 1.5}),
    "bilirubin-1-1": ({"bilirubin_mg_dl": 1.5}, {"bilirubin_mg_dl": 0.8}),
    "albumin-low": ({"albumin_g_l": 25.0}, {"albumin_g_l": 38.0}),
    "inr-high": ({"inr": 1.8}, {"inr": 1.1}),
    "platelets-low": ({"platelets_g_l": 40.0}, {"platelets_g_l": 120.0}),
    "renal-contrast": ({"egfr_ml_min": 20.0}, {"egfr_ml_min": 80.0}),
    "child-pugh-b8": ({"child_pugh_score": 8}, {"child_pugh_score": 7}),
    "child-pugh-b7": ({"child_pugh_score": 7}, {"child_pugh_score": 5}),
    "ecog": ({"ecog": 3}, {"ecog": 1}),
    "ascites": ({"ascites": True}, {"ascites": False}),
    "encephalopathy": ({"encephalopathy": True}, {"encephalopathy": False}),
    "pregnant": ({"pregnant": True}, {"pregnant": False}),
    "breast-feeding": ({"breast_feeding": True}, {"breast_feeding": False}),
    "life-expectancy": ({"life_expectancy_months": 2.0}, {"life_expectancy_months": 12.0}),
    "minor": ({"age_years": 12.0}, {"age_years": 60.0}),
    "portal-vein": ({"main_portal_vein_thrombosis": True}, {"main_portal_vein_thrombosis": False}),
    "biliary": ({"biliary_stent_or_anastomosis": True}, {"biliary_stent_or_anastomosis": False}),
    "external-beam": ({"previous_liver_external_beam_gy": 30.0}, {"previous_liver_external_beam_gy": 0.0}),
    "retreatment": ({"previous_tare_count": 1}, {"previous_tare_count": 0}),
    "retreatment-soon": ({"days_since_previous_tare": 10.0}, {"days_since_previous_tare": 60.0}),
    "bevacizumab": ({"bevacizumab_days_ago": 10.0}, {"bevacizumab_days_ago": 90.0}),
    "capecitabine": (
        {"capecitabine_days_ago": 20.0, "agent": "resin"},
        {"capecitabine_days_ago": 20.0, "agent": "glass"},
    ),
    "thyroid-block": (
        {"agent_nuclide": "I-131", "thyroid_blocked": False},
        {"agent_nuclide": "I-131", "thyroid_blocked": True},
    ),
    "nuclide-of-agent": (
        {"agent": "glass", "agent_nuclide": "Y-90", "nuclide": "Ho-166"},
        {"agent": "glass", "agent_nuclide": "Y-90", "nuclide": "Y-90"},
    ),
    "agent-not-therapy": (
        {"agent": "maa", "agent_purpose": "surrogate"},
        {"agent": "glass", "agent_purpose": "therapy"},
    ),
    "agent-not-approved": (
        {"agent": "re188-hsa", "agent_approved": False},
        {"agent": "glass", "agent_approved": True},
    ),
    "no-label-rule": (
        {"agent": "lu177-microspheres", "has_label_rule": False},
        {"agent": "glass", "has_label_rule": True},
    ),
    "rule-of-other-agent": (
        {"method": "mird", "agent": "resin", "rule_labelled_for_agent": False},
        {"method": "mird", "agent": "glass", "rule_labelled_for_agent": True},
    ),
    "implausible-liver-mass": ({"normal_mass_kg": 900.0}, {"normal_mass_kg": 0.9}),
    "implausible-tumour-mass": ({"tumour_mass_kg": 9.0}, {"tumour_mass_kg": 0.3}),
    "implausible-perfused-volume": ({"perfused_ml": 9e5}, {"perfused_ml": 900.0}),
    "implausible-uptake-ratio": ({"tumour_to_normal_max": 120.0}, {"tumour_to_normal_max": 12.0}),
    "implausible-uptake-ratio-low": ({"tumour_to_normal": 0.01}, {"tumour_to_normal": 0.8}),
    "implausible-dose-aim": ({"dose_aim_gy": 12000.0}, {"dose_aim_gy": 400.0}),
    "implausible-dose-predicted": ({"dose_largest_gy": 12000.0}, {"dose_largest_gy": 800.0}),
    "implausible-energy": ({"energy_j": 2000.0}, {"energy_j": 150.0}),
    "implausible-activity-y90": (
        {"nuclide": "Y-90", "administered_gbq": 25.0},
        {"nuclide": "Y-90", "administered_gbq": 3.0},
    ),
    "implausible-activity-re188": (
        {"nuclide": "Re-188", "administered_gbq": 17.0},
        {"nuclide": "Re-188", "administered_gbq": 13.0},
    ),
    "implausible-activity-ho166": (
        {"nuclide": "Ho-166", "administered_gbq": 17.0},
        {"nuclide": "Y-90", "administered_gbq": 17.0},
    ),
    "implausible-activity-i131": (
        {"nuclide": "I-131", "administered_gbq": 22.2},
        {"nuclide": "I-131", "administered_gbq": 2.22},
    ),
    "bsa-with-glass": ({"method": "bsa", "agent": "glass"}, {"method": "bsa", "agent": "resin"}),
    "holmium-rule": (
        {"method": "holmium", "agent_nuclide": "Y-90"},
        {"method": "holmium", "agent_nuclide": "Ho-166"},
    ),
    "lipiodol-moves": ({"agent_form": "lipiodol"}, {"agent_form": "microspheres"}),
    "convention-mixed": ({"convention": "label", "method": "partition"}, {"convention": "mird", "method": "partition"}),
    "holmium-small-target": (
        {"agent_nuclide": "Ho-166", "convention": "clinical", "perfused_ml": 50.0},
        {"agent_nuclide": "Ho-166", "convention": "ensdf", "perfused_ml": 50.0},
    ),
    "resin-standard": ({"agent": "resin"}, {"agent": "glass"}),
    "empiric-method": ({"method": "empiric"}, {"method": "partition"}),
    "bsa-small-liver": ({"method": "bsa", "liver_ml": 900.0}, {"method": "bsa", "liver_ml": 1500.0}),
    "bsa-large-liver": ({"method": "bsa", "liver_ml": 2800.0}, {"method": "bsa", "liver_ml": 1500.0}),
    "methods-disagree": ({"methods_ratio": 2.0}, {"methods_ratio": 1.1}),
    "activity-beyond-vials": (
        {"planned_gbq": 25.0, "largest_vial_gbq": 20.0},
        {"planned_gbq": 5.0, "largest_vial_gbq": 20.0},
    ),
    "activity-very-low": (
        {"planned_gbq": 0.05, "agent_nuclide": "Y-90"},
        {"planned_gbq": 1.0, "agent_nuclide": "Y-90"},
    ),
    "activity-very-high": (
        {"planned_gbq": 15.0, "agent_nuclide": "Y-90"},
        {"planned_gbq": 15.0, "agent_nuclide": "Ho-166"},
    ),
    "activity-zero": ({"planned_gbq": 0.0}, {"planned_gbq": 1.0}),
    "residual-high-planned": ({"residual": 0.2}, {"residual": 0.02}),
    "tumour-target-missed": (
        {"dose_tumour_gy": 150.0, "dose_tumour_target_gy": 205.0},
        {"dose_tumour_gy": 250.0, "dose_tumour_target_gy": 205.0},
    ),
    "normal-limit-exceeded": (
        {"dose_normal_liver_gy": 50.0, "dose_normal_limit_gy": 40.0},
        {"dose_normal_liver_gy": 30.0, "dose_normal_limit_gy": 40.0},
    ),
    "lobar-ablative-dose": (
        {"agent": "glass", "intent": "bilobar", "dose_perfused_gy": 300.0},
        {"agent": "glass", "intent": "segmentectomy", "dose_perfused_gy": 400.0},
    ),
    "resin-perfused-high": (
        {"agent": "resin", "intent": "unilobar", "dose_perfused_gy": 120.0},
        {"agent": "resin", "intent": "unilobar", "dose_perfused_gy": 50.0},
    ),
    "holmium-above-60": (
        {"agent": "ho166-plla", "dose_perfused_gy": 80.0},
        {"agent": "ho166-plla", "dose_perfused_gy": 60.0},
    ),
    "success-unlikely": ({"probability_tumour": 0.3}, {"probability_tumour": 0.9}),
    "limit-likely-exceeded": ({"probability_normal_exceeded": 0.2}, {"probability_normal_exceeded": 0.02}),
    "spheres-too-few": (
        {"spheres_per_ml": 100.0, "agent_form": "microspheres"},
        {"spheres_per_ml": 5000.0, "agent_form": "microspheres"},
    ),
    "spheres-too-many": (
        {"spheres_per_ml": 90000.0, "agent_form": "microspheres"},
        {"spheres_per_ml": 5000.0, "agent_form": "microspheres"},
    ),
    "embolic-load": ({"spheres_million": 80.0}, {"spheres_million": 30.0}),
    "sphere-cold": (
        {"activity_per_sphere_bq": 150.0, "agent": "glass"},
        {"activity_per_sphere_bq": 50.0, "agent": "resin"},
    ),
    "holmium-mass": (
        {"carrier_mass_mg": 900.0, "agent": "ho166-plla"},
        {"carrier_mass_mg": 484.0, "agent": "ho166-plla"},
    ),
    "lipiodol-volume": ({"lipiodol_ml": 20.0}, {"lipiodol_ml": 10.0}),
    "vial-expired": (
        {"hours_after_calibration": 300.0, "shelf_life_h": 288.0},
        {"hours_after_calibration": 200.0, "shelf_life_h": 288.0},
    ),
    "vial-before-calibration": ({"hours_after_calibration": -20.0}, {"hours_after_calibration": 20.0}),
    "vial-nuclide": (
        {"vial_nuclide": "Ho-166", "nuclide": "Y-90"},
        {"vial_nuclide": "Y-90", "nuclide": "Y-90"},
    ),
    "vial-agent": ({"vial_agent": "resin", "agent": "glass"}, {"vial_agent": "glass", "agent": "glass"}),
    "time-zone": ({"time_zone_stated": False}, {"time_zone_stated": True}),
    "clock-change": ({"clock_change_between": True}, {"clock_change_between": False}),
    "injection-past": ({"injection_in_past": True}, {"injection_in_past": False}),
    "order-late": ({"order_lead_days": 1.0}, {"order_lead_days": 10.0}),
    "vial-reading": ({"vial_reading_over_label": 1.2}, {"vial_reading_over_label": 1.02}),
    "several-vials": ({"vials_count": 2}, {"vials_count": 1}),
    "calibrator-old": ({"calibrator_check_days": 5.0}, {"calibrator_check_days": 0.0}),
    "calibrator-factor": ({"calibrator_factor_for_nuclide": False}, {"calibrator_factor_for_nuclide": True}),
    "residual-high": ({"residual_measured": 0.1}, {"residual_measured": 0.01}),
    "residual-negative": ({"residual_measured": -0.01}, {"residual_measured": 0.01}),
    "delivered-less": ({"delivered_over_planned": 0.8}, {"delivered_over_planned": 0.98}),
    "delivered-more": ({"delivered_over_planned": 1.2}, {"delivered_over_planned": 1.02}),
    "stasis": ({"stasis": True}, {"stasis": False}),
    "reflux": ({"reflux": True}, {"reflux": False}),
    "catheter-changed": ({"catheter_position_changed": True}, {"catheter_position_changed": False}),
    "identity": ({"patient_identity_matches": False}, {"patient_identity_matches": True}),
    "image-activity": ({"image_over_administered": 0.7}, {"image_over_administered": 0.95}),
    "registration": ({"registration_error_mm": 15.0}, {"registration_error_mm": 4.0}),
    "coarse-voxels": ({"voxel_mm": 8.0}, {"voxel_mm": 4.0}),
    "scout-therapy-disagree": ({"lesion_correlation": 0.2}, {"lesion_correlation": 0.8}),
    "ct-old": ({"ct_age_days": 60.0}, {"ct_age_days": 5.0}),
}


def test_every_guardrail_has_a_case_and_an_id_of_its_own() -> None:
    ids = [rule.id for rule in GUARDRAILS]
    assert len(set(ids)) == len(ids) >= 100
    assert set(ids) == set(CASES)


@pytest.mark.parametrize("rule", GUARDRAILS, ids=lambda rule: rule.id)
def test_guardrail(rule) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    speaking, quiet = CASES[rule.id]
    out = review(Situation(**speaking), [rule])  # type: ignore[arg-type]
    assert [w.id for w in out.warned] == [rule.id]
    message = out.warned[0].message
    assert message.endswith(".")
    assert "{" not in message
    assert len(message) > 20
    assert review(Situation(**quiet), [rule]).quiet == (rule.id,)  # type: ignore[arg-type]
    assert review(Situation(), [rule]).not_evaluated == (rule.id,)


def test_a_known_fact_that_keeps_a_rule_quiet_needs_no_other() -> None:
    rules = {rule.id: rule for rule in GUARDRAILS}
    for name, known in {
        "capecitabine": {"agent": "glass"},
        "thyroid-block": {"agent_nuclide": "Y-90"},
        "segmentectomy-too-wide": {"intent": "unilobar"},
        "oxygen-dependent": {"lung_dose_gy": 2.0},
    }.items():
        assert review(Situation(**known), [rules[name]]).quiet == (name,)  # type: ignore[arg-type]
    lacking = review(Situation(agent="resin"), [rules["capecitabine"]])
    assert lacking.lacking_facts == {"capecitabine": ("capecitabine_days_ago",)}
    elsewhere = review(Situation(agent="resin"), [rules["capecitabine"]], ("plan",))
    assert elsewhere.not_evaluated == ()
    assert elsewhere.other_steps == {"patient": ("capecitabine",)}


def test_territories_together_name_the_one_that_is_meant() -> None:
    right, left = check(Situation(agent="resin", lung_shunt=0.3)), check(Situation(agent="glass", lung_shunt=0.03))
    said = {warned.id: warned.message for warned in together({"right": right, "left": left}).warned}
    assert said["shunt-over-20-resin"].startswith("right: Lung shunt 30.0%")
    assert together({"right": right}) == right


def test_review_puts_stops_first_and_counts_all() -> None:
    out = check(Situation(agent="resin", lung_shunt=0.3, lung_dose_gy=40.0))
    assert out.warned[0].severity == "stop"
    assert len(out.warned) + len(out.quiet) + len(out.not_evaluated) == len(GUARDRAILS)
    assert not check(Situation()).warned
