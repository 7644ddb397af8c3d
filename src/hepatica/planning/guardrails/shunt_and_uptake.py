"""Guardrails on lung shunt, uptake, volumes and what lies elsewhere."""

from hepatica.core.numbers.compare import above
from hepatica.core.numbers.confidence import FROM_MEMORY, WELL_ESTABLISHED
from hepatica.planning.guardrails.rule import Guardrail

_SHUNT = "labels; van Roekel thesis p. 41"
_EANM = "EANM 2022 (Weber)"

SHUNT = (
    Guardrail(
        "shunt-over-20",
        "warning",
        ("lung_shunt",),
        lambda s: above(s.lung_shunt, 0.20),
        "Lung shunt {lung_shunt:.1%} is above 20 %: resin is contraindicated by its label, others only if the "
        "lung dose allows; "
        "consider shunt reduction and a new scout.",
        _SHUNT,
    ),
    Guardrail(
        "shunt-over-20-resin",
        "stop",
        ("lung_shunt", "agent"),
        lambda s: s.agent == "resin" and above(s.lung_shunt, 0.20),
        "Lung shunt {lung_shunt:.1%} with resin: the label gives no activity. Do not treat; reduce it or change agent.",
        _SHUNT,
    ),
    Guardrail(
        "shunt-10-to-20-resin",
        "note",
        ("lung_shunt", "agent"),
        lambda s: s.agent == "resin" and above(s.lung_shunt, 0.10) and not above(s.lung_shunt, 0.20),
        "Lung shunt {lung_shunt:.1%}: BSA and empiric activities are reduced by 20 % (above 10 %) or 40 % "
        "(above 15 %).",
        _SHUNT,
    ),
    Guardrail(
        "shunt-zero",
        "note",
        ("lung_shunt",),
        lambda s: s.lung_shunt == 0,
        "The lung shunt is zero, so the lungs get nothing in this plan; a measured one is rarely below 0.5 %.",
    ),
    Guardrail(
        "shunt-implausibly-low",
        "note",
        ("lung_shunt",),
        lambda s: 0 < s.lung_shunt < 0.005,
        "Lung shunt {lung_shunt:.2%} is lower than scatter usually allows; check the lung region and background.",
    ),
    Guardrail(
        "shunt-uncertain",
        "warning",
        ("lung_shunt", "lung_shunt_sd"),
        lambda s: s.lung_shunt_sd > 0.3 * s.lung_shunt,
        "The lung shunt's standard uncertainty {lung_shunt_sd:.3f} exceeds 30 % of it; decide on the upper end "
        "of its interval.",
    ),
    Guardrail(
        "shunt-planar-decides",
        "warning",
        ("lung_shunt_method", "lung_shunt_decides"),
        lambda s: s.lung_shunt_method == "planar" and s.lung_shunt_decides,
        "A planar lung shunt limits this plan; planar overestimates. Measure it by SPECT/CT before lowering the "
        "activity.",
        "Taranis; PMC9793490",
    ),
    Guardrail(
        "lung-mass-assumed",
        "note",
        ("lung_mass_measured",),
        lambda s: not s.lung_mass_measured,
        "Lung mass is assumed (1 kg), not measured; take it from CT if the lung dose matters.",
        "Kao 2014",
    ),
    Guardrail(
        "lung-mass-implausible",
        "stop",
        ("lung_mass_kg",),
        lambda s: not 0.3 <= s.lung_mass_kg <= 2.0,
        "A lung mass of {lung_mass_kg:.2f} kg is not plausible (0.3 to 2 kg); check region, unit and CT.",
    ),
    Guardrail(
        "lung-dose-30",
        "stop",
        ("lung_dose_gy",),
        lambda s: above(s.lung_dose_gy, 30),
        "Lungs would receive {lung_dose_gy:.4g} Gy; the limit is 30 Gy per treatment. Lower the activity or the shunt.",
        "labels; van Roekel p. 30",
    ),
    Guardrail(
        "lung-dose-near-30",
        "warning",
        ("lung_dose_gy",),
        lambda s: above(s.lung_dose_gy, 25) and not above(s.lung_dose_gy, 30),
        "Lungs would receive {lung_dose_gy:.0f} Gy, close to 30 Gy; check lung shunt and lung mass again.",
    ),
    Guardrail(
        "lung-dose-cumulative-50",
        "stop",
        ("lung_dose_cumulative_gy",),
        lambda s: above(s.lung_dose_cumulative_gy, 50),
        "All treatments together give the lungs {lung_dose_cumulative_gy:.4g} Gy; the limit is 50 Gy.",
        "labels; van Roekel p. 30",
    ),
    Guardrail(
        "lung-dose-strict-practice",
        "note",
        ("lung_dose_gy",),
        lambda s: above(s.lung_dose_gy, 15) and not above(s.lung_dose_gy, 25),
        "Lungs would receive {lung_dose_gy:.0f} Gy; some centres keep below 15 Gy (resin) or 20-25 Gy (glass).",
        "Korean practice, third-party planner",
    ),
    Guardrail(
        "oxygen-dependent",
        "warning",
        ("oxygen_dependent", "lung_dose_gy"),
        lambda s: above(s.lung_dose_gy, 10) and s.oxygen_dependent,
        "The patient needs oxygen and the lungs would receive {lung_dose_gy:.0f} Gy; set a lower lung limit with a "
        "pulmonologist.",
    ),
    Guardrail(
        "lungs-truncated",
        "warning",
        ("lungs_extrapolated_share",),
        lambda s: s.lungs_extrapolated_share > 0.3,
        "{lungs_extrapolated_share:.0%} of the lungs is extrapolated; image the whole lungs if the lung shunt decides.",
    ),
    Guardrail(
        "dome-margin-matters",
        "note",
        ("dome_margin_effect",),
        lambda s: abs(s.dome_margin_effect) > 0.2,
        "The margin at the liver dome changes the lung shunt by {dome_margin_effect:+.0%}; breathing blurs liver into "
        "lung.",
    ),
    Guardrail(
        "maa-late",
        "warning",
        ("scout_to_scan_h",),
        lambda s: s.scout_to_scan_h > 1,
        "The scan began {scout_to_scan_h:.1f} h after injection; MAA should be imaged within 1 h (the lung "
        "shunt rises).",
        "labels",
        WELL_ESTABLISHED,
    ),
    Guardrail(
        "maa-labelling",
        "warning",
        ("labelling_yield",),
        lambda s: s.labelling_yield < 0.95,
        "Labelling yield {labelling_yield:.0%} is below 95 %: free pertechnetate mimics shunt and gut uptake.",
    ),
    Guardrail(
        "scout-too-old",
        "warning",
        ("scout_to_therapy_days",),
        lambda s: s.scout_to_therapy_days > 30,
        "The scout is {scout_to_therapy_days:.0f} days old; tumour and vessels change, repeat it after a month.",
    ),
    Guardrail(
        "scout-after-therapy",
        "stop",
        ("scout_to_therapy_days",),
        lambda s: s.scout_to_therapy_days < 0,
        "The scout is dated after the therapy; check the dates.",
    ),
    Guardrail(
        "scout-activity-odd",
        "note",
        ("scout_activity_mbq", "scout_agent"),
        lambda s: s.scout_agent == "maa" and not 70 <= s.scout_activity_mbq <= 200,
        "A MAA scout of {scout_activity_mbq:.0f} MBq is outside 75-185 MBq.",
        "EANM 2022",
        FROM_MEMORY,
    ),
    Guardrail(
        "holmium-scout-activity",
        "warning",
        ("agent_nuclide", "scout_activity_mbq", "scout_agent"),
        lambda s: s.agent_nuclide == "Ho-166" and s.scout_agent == "ho166-scout" and s.scout_activity_mbq > 250,
        "A holmium scout of {scout_activity_mbq:.0f} MBq exceeds 250 MBq; its own dose counts.",
        "QuiremScout label",
    ),
    Guardrail(
        "scout-after-embolisation",
        "warning",
        ("scan_after_embolisation",),
        lambda s: s.scan_after_embolisation,
        "Vessels were closed after the scout: its distribution is not that of the therapy. Repeat the scout.",
    ),
    Guardrail(
        "scout-other-agent",
        "note",
        ("scout_agent", "agent"),
        lambda s: s.agent == "ho166-plla" and s.scout_agent == "maa",
        "MAA predicts holmium less well than a holmium scout does; consider the scout of the same agent.",
        "EANM 2022",
    ),
)

UPTAKE = (
    Guardrail(
        "tn-below-1",
        "warning",
        ("tumour_to_normal",),
        lambda s: s.tumour_to_normal < 1,
        "T/N {tumour_to_normal:.2f}: normal liver would receive more than the tumour. Check segmentation and catheter "
        "position; partition planning has no advantage here.",
    ),
    Guardrail(
        "tn-below-2",
        "note",
        ("tumour_to_normal",),
        lambda s: 1 <= s.tumour_to_normal < 2,
        "T/N {tumour_to_normal:.2f} is low; the tumour target may not be reachable within the liver's limit.",
    ),
    Guardrail(
        "tn-very-high",
        "warning",
        ("tumour_to_normal_max",),
        lambda s: s.tumour_to_normal_max > 20,
        "T/N {tumour_to_normal_max:.0f} is implausibly high; check that the normal-liver region lies in the territory.",
    ),
    Guardrail(
        "tn-uncertain",
        "warning",
        ("tumour_to_normal_relative_sd",),
        lambda s: s.tumour_to_normal_relative_sd > 0.3,
        "T/N is uncertain by {tumour_to_normal_relative_sd:.0%}; plan with the probabilistic planner.",
    ),
    Guardrail(
        "tn-definition",
        "stop",
        ("tumour_to_normal_definition", "method"),
        lambda s: (
            (s.method == "partition" and s.tumour_to_normal_definition == "activity")
            or (s.method == "activity-ratio" and s.tumour_to_normal_definition == "concentration")
        ),
        "T/N was measured as {tumour_to_normal_definition} ratio, which {method} does not take. Convert "
        "it by the masses.",
        "Kao 2013",
    ),
    Guardrail(
        "tiny-tumour",
        "warning",
        ("smallest_lesion_ml",),
        lambda s: s.smallest_lesion_ml < 4,
        "The smallest lesion has {smallest_lesion_ml:.1f} mL (below 2 cm): its T/N is blurred; do not "
        "plan on it alone.",
    ),
    Guardrail(
        "recovery-low",
        "note",
        ("expected_recovery",),
        lambda s: s.expected_recovery < 0.8,
        "The camera keeps only {expected_recovery:.0%} of the smallest lesion's contrast; its dose reads low.",
    ),
    Guardrail(
        "necrosis",
        "warning",
        ("necrotic_share",),
        lambda s: s.necrotic_share > 0.3,
        "{necrotic_share:.0%} of the tumour is necrotic: plan on viable tissue, whose T/N and dose differ.",
    ),
    Guardrail(
        "many-lesions",
        "note",
        ("lesions_count",),
        lambda s: s.lesions_count > 10,
        "{lesions_count} lesions: a mean T/N hides the worst; look at the lowest ones.",
    ),
    Guardrail(
        "normal-liver-cold",
        "warning",
        ("normal_liver_counts_share",),
        lambda s: s.normal_liver_counts_share < 0.02,
        "Normal liver holds {normal_liver_counts_share:.1%} of the counts: check registration and region.",
    ),
)

VOLUMES = (
    Guardrail(
        "liver-implausible",
        "stop",
        ("liver_ml",),
        lambda s: not 400 <= s.liver_ml <= 6000,
        "A liver of {liver_ml:.0f} mL is not plausible for an adult; check region and unit.",
    ),
    Guardrail(
        "tumour-exceeds-liver",
        "stop",
        ("tumour_ml", "liver_ml"),
        lambda s: s.tumour_ml >= s.liver_ml,
        "Tumour ({tumour_ml:.0f} mL) is not smaller than the liver ({liver_ml:.0f} mL); check the regions.",
    ),
    Guardrail(
        "perfused-exceeds-liver",
        "stop",
        ("perfused_ml", "liver_ml"),
        lambda s: s.perfused_ml > 1.02 * s.liver_ml,
        "Perfused volume {perfused_ml:.0f} mL exceeds the liver's {liver_ml:.0f} mL: territories overlap or leave it.",
    ),
    Guardrail(
        "territory-outside-liver",
        "warning",
        ("territory_outside_liver_share",),
        lambda s: s.territory_outside_liver_share > 0.05,
        "{territory_outside_liver_share:.0%} of a territory lies outside the liver: check registration, or an artery "
        "feeds other tissue.",
    ),
    Guardrail(
        "territories-overlap",
        "stop",
        ("territories_overlap_ml",),
        lambda s: s.territories_overlap_ml > 1,
        "Territories overlap by {territories_overlap_ml:.0f} mL: their activity would be counted twice.",
    ),
    Guardrail(
        "tumour-outside-territory",
        "warning",
        ("tumour_outside_territories_share",),
        lambda s: s.tumour_outside_territories_share > 0.02,
        "{tumour_outside_territories_share:.0%} of the tumour lies outside every territory: look for another artery.",
    ),
    Guardrail(
        "perfused-tiny",
        "note",
        ("perfused_ml",),
        lambda s: s.perfused_ml < 20,
        "Only {perfused_ml:.0f} mL are perfused: local deposition and border errors dominate the dose.",
    ),
    Guardrail(
        "involvement-high",
        "warning",
        ("involvement",),
        lambda s: s.involvement > 0.5,
        "Tumour fills {involvement:.0%} of the liver: reserve is small; consider staged lobar treatment.",
        _EANM,
    ),
    Guardrail(
        "involvement-very-high",
        "stop",
        ("involvement",),
        lambda s: s.involvement > 0.7,
        "Tumour fills {involvement:.0%} of the liver: above 70 % most trials excluded; decide in the tumour board.",
        "glass trials",
        FROM_MEMORY,
    ),
    Guardrail(
        "reserve-low",
        "warning",
        ("hepatic_reserve",),
        lambda s: s.hepatic_reserve < 0.3,
        "Only {hepatic_reserve:.0%} of normal liver is spared: keep perfused normal liver below 120 Gy (glass).",
        _EANM + " Table 2",
    ),
    Guardrail(
        "remnant-small",
        "warning",
        ("future_remnant_share", "intent"),
        lambda s: s.intent == "lobectomy" and s.future_remnant_share < 0.3,
        "The future remnant is {future_remnant_share:.0%} of normal liver: surgery needs growth; plan the time for it.",
    ),
    Guardrail(
        "whole-liver-single-session",
        "warning",
        ("hepatic_reserve", "intent"),
        lambda s: s.intent in ("whole-liver", "bilobar") and s.hepatic_reserve < 0.05,
        "The whole liver is treated at once; stage the lobes 4-6 weeks apart unless liver function is good.",
        _EANM,
    ),
    Guardrail(
        "perfusion-mismatch",
        "warning",
        ("perfused_scout_volume_difference",),
        lambda s: abs(s.perfused_scout_volume_difference) > 0.2,
        "Perfused volume on angiography CT and on the scout differ by "
        "{perfused_scout_volume_difference:+.0%}: find out "
        "which is right before dividing activity by it.",
    ),
    Guardrail(
        "segmentectomy-too-wide",
        "warning",
        ("intent", "segments_treated"),
        lambda s: s.intent == "segmentectomy" and s.segments_treated > 2,
        "A segmentectomy treats at most two segments; {segments_treated} are planned.",
        _EANM,
    ),
)

ELSEWHERE = (
    Guardrail(
        "counts-elsewhere",
        "warning",
        ("share_elsewhere",),
        lambda s: s.share_elsewhere > 0.10,
        "{share_elsewhere:.0%} of the counts lie outside liver and lungs: find them before planning.",
    ),
    Guardrail(
        "gut-uptake",
        "stop",
        ("extrahepatic_in_gut",),
        lambda s: s.extrahepatic_in_gut,
        "Uptake in stomach or bowel that is not free pertechnetate: find and close the artery, then repeat the scout.",
        _EANM,
    ),
    Guardrail(
        "extrahepatic-dose",
        "warning",
        ("extrahepatic_dose_gy",),
        lambda s: above(s.extrahepatic_dose_gy, 10),
        "An extrahepatic site would receive {extrahepatic_dose_gy:.0f} Gy: name it and decide whether it tolerates it.",
    ),
    Guardrail(
        "stomach",
        "stop",
        ("stomach_dose_gy",),
        lambda s: above(s.stomach_dose_gy, 10),
        "The stomach would receive {stomach_dose_gy:.0f} Gy: ulcers are to be expected; find and close the artery.",
        _EANM,
    ),
    Guardrail(
        "duodenum",
        "stop",
        ("duodenum_dose_gy",),
        lambda s: above(s.duodenum_dose_gy, 10),
        "The duodenum would receive {duodenum_dose_gy:.0f} Gy: ulcers are to be expected; find and close the artery.",
        _EANM,
    ),
    Guardrail(
        "bowel",
        "stop",
        ("bowel_dose_gy",),
        lambda s: above(s.bowel_dose_gy, 10),
        "The bowel would receive {bowel_dose_gy:.0f} Gy: find and close the artery.",
        _EANM,
    ),
    Guardrail(
        "pancreas",
        "warning",
        ("pancreas_dose_gy",),
        lambda s: above(s.pancreas_dose_gy, 10),
        "The pancreas would receive {pancreas_dose_gy:.0f} Gy: pancreatitis is possible; find the artery.",
    ),
    Guardrail(
        "gallbladder",
        "warning",
        ("gallbladder_dose_gy",),
        lambda s: above(s.gallbladder_dose_gy, 50),
        "The gallbladder wall would receive {gallbladder_dose_gy:.0f} Gy: inject beyond the cystic artery if possible.",
    ),
    Guardrail(
        "free-pertechnetate",
        "note",
        ("free_pertechnetate_suspected",),
        lambda s: s.free_pertechnetate_suspected,
        "Thyroid or stomach uptake looks like free pertechnetate: check it on the planar image before "
        "calling it shunt.",
    ),
    Guardrail(
        "falciform",
        "note",
        ("falciform_uptake",),
        lambda s: s.falciform_uptake,
        "Uptake along the falciform ligament: cool the skin with an ice pack or protect the artery.",
    ),
)
