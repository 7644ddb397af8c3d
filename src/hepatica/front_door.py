"""Every verb of hepatica, once: its function, where it lives, its command and the heading under which it stands."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hepatica.errors import UnknownNameError

GROUPS = ("Case", "Images", "Dose", "Planning", "Delivery", "Outcome", "Safety", "Data")
"""Headings of ``hepatica --help``, in the order of a treatment."""


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb.

    Attributes
    ----------
    function : str
        Name of the function that `hepatica` exports.
    command : str
        Name on the command line.
    home : str
        Module that holds it, below ``hepatica.``.
    group : str
        Heading in ``--help``.
    summary : str
        First line of its docstring, here so that ``--help`` loads nothing; a test holds both equal.
    """

    function: str
    command: str
    home: str
    group: str
    summary: str

    def load(self) -> Callable[..., Any]:
        """Load the function."""
        found: Callable[..., Any] = getattr(importlib.import_module(f"hepatica.{self.home}"), self.function)
        return found


VERBS = (
    Verb("new_case", "case new", "case.verbs.change", "Case",
         "A new case: a folder with a `case.toml` to fill in."),
    Verb("add_to_case", "case add", "case.verbs.change", "Case",
         "Add a file or a folder of images to a case: a heap of DICOM is sorted by what each series is."),
    Verb("take_image", "case take", "case.verbs.change", "Case",
         "Say what an image of a case is: the word that corrects the sorting."),
    Verb("case_status", "case status", "case.verbs.status", "Case",
         "How far a case is: each step done, out of date or waiting, and why; what each image is taken for."),
    Verb("set_in_case", "case set", "case.verbs.change", "Case",
         "State or correct facts of a case, and see what is out of date by it."),
    Verb("run_case", "case run", "case.verbs.change", "Case",
         "Run the steps of a case that are not done or out of date, and nothing else."),
    Verb("check_step", "case check", "case.verbs.change", "Case",
         "Note who checked the result of a step; the check falls when the result changes."),
    Verb("skip_step", "case skip", "case.verbs.change", "Case",
         "Leave a step of a case out, with a reason."),
    Verb("case_log", "case log", "case.verbs.status", "Case",
         "The log of a case, each line proved by its hash."),
    Verb("case_report", "case report", "case.verbs.report", "Case",
         "The report of the course: a first page for the tumour board, a part for each step, a physicist's annex."),
    Verb("workbench", "workbench", "web.verb", "Case",
         "The workbench: a case, or a folder of cases, in the browser, served on this machine alone."),
    Verb("anonymise_case", "case anonymise", "case.verbs.protection", "Case",
         "A copy of a case without the person: images cleaned, free texts withheld, dates shifted, steps run again."),
    Verb("pack_case", "case pack", "case.verbs.protection", "Case",
         "Write a case into one encrypted file, for transfer or backup."),
    Verb("unpack_case", "case unpack", "case.verbs.protection", "Case",
         "Bring a case back from an encrypted file, with every file and every line of its log proved."),
    Verb("erase_case", "case erase", "case.verbs.protection", "Case",
         "Erase the patient of a case: all but a log without names that can still be proved."),
    Verb("inspect_images", "inspect", "workflow.inspect", "Images",
         "What an image is: unit, reference time, decay correction, geometry, and what is missing."),
    Verb("simulate_spect", "simulate", "workflow.spect.simulate", "Images",
         "The projections that a gamma camera would count of a known activity."),
    Verb("reconstruct_spect", "reconstruct", "workflow.spect.reconstruct", "Images",
         "A SPECT from the projections of a gamma camera."),
    Verb("simulate_pet", "simulate-pet", "workflow.pet.simulate", "Images",
         "The coincidences that a PET scanner would count of a known activity."),
    Verb("reconstruct_pet", "reconstruct-pet", "workflow.pet.reconstruct", "Images",
         "A PET in Bq/mL from the coincidences of a scanner and the CT."),
    Verb("calibrate_camera", "calibrate", "workflow.spect.calibrate", "Images",
         "The camera factor or the recovery curve from images of a known source."),
    Verb("simulate_planar", "simulate-planar", "workflow.planar.simulate", "Images",
         "The planar views that a gamma camera with two heads would count of a known activity."),
    Verb("biodistribution", "biodistribution", "workflow.planar.biodistribution", "Images",
         "Where the activity is by planar views at one or several times, and the absorbed dose of organs."),
    Verb("simulate_mri", "simulate-mri", "workflow.mri.simulate", "Images",
         "The multi-echo MR of a known distribution of 166Ho microspheres, before and after treatment."),
    Verb("holmium_mri", "holmium-mri", "workflow.mri.holmium", "Images",
         "Holmium microspheres and their activity by multi-echo MR, before and after treatment."),
    Verb("spect_mri_agreement", "spect-mri-agreement", "workflow.mri.agreement", "Images",
         "Whether MR and SPECT agree on where 166Ho is: by voxel, structure and lesion."),
    Verb("quantify", "quantify", "workflow.dose.quantify", "Images",
         "Activity in Bq/mL of an image in counts, by camera factor or administered activity."),
    Verb("register", "register", "workflow.registration.register", "Images",
         "One image laid onto another, with its quality: CT, SPECT or PET with CT, MR."),
    Verb("warp_image", "warp", "workflow.registration.warp", "Images",
         "An image, structures or a dose brought over to another image's voxels by a transform."),
    Verb("segment", "segment", "workflow.segmentation.segment", "Images",
         "Body, lungs, liver and other organs proposed on a CT, for a person to check."),
    Verb("absorbed_dose", "dose", "workflow.dose.absorbed_dose", "Dose",
         "Absorbed dose in every voxel and every structure of a treated patient."),
    Verb("compare_doses", "compare-doses", "workflow.dose.comparison", "Dose",
         "Two dose maps of one patient side by side: structures, gamma index, profiles."),
    Verb("accumulated_dose", "accumulate", "workflow.registration.accumulate", "Dose",
         "Absorbed dose of two treatments added up, and the BED of the course."),
    Verb("radiobiology", "radiobiology", "workflow.dose.radiobiology", "Dose",
         "BED, EQD2, EUD and published TCP and NTCP models of a dose or a dose map."),
    Verb("compare_spheres", "compare-spheres", "workflow.dose.spheres", "Dose",
         "Agents at the scale of single spheres, at one mean dose."),
    Verb("voxel_kernel", "kernel", "workflow.dose.kernel", "Dose",
         "Voxel S values: dose per decay around a voxel with uniform activity."),
    Verb("lung_shunt", "lsf", "workflow.planning.lung_shunt", "Planning",
         "Lung shunt fraction with its uncertainty by source, and the lung dose."),
    Verb("tumour_to_normal", "tn", "workflow.planning.tumour_to_normal", "Planning",
         "Tumour-to-normal ratio of each lesion and overall, by both definitions."),
    Verb("plan", "plan", "workflow.planning.plan.plan", "Planning",
         "A whole plan from a file: every territory by every method, limits, chances, guardrails."),
    Verb("plan_template", "plan-template", "workflow.planning.plan.file", "Planning",
         "A commented plan file to fill in."),
    Verb("prescribe", "prescribe", "workflow.planning.prescribe", "Planning",
         "One prescription from its numbers, beside the limits of its agent."),
    Verb("compare_agents", "compare-agents", "workflow.planning.compare_agents", "Planning",
         "Nuclides and agents side by side on one patient for one aim."),
    Verb("order_vial", "order-vial", "workflow.planning.vial", "Planning",
         "Vials and calibration days that give the planned activity at the treatment."),
    Verb("elute_generator", "elute-generator", "workflow.planning.generator", "Planning",
         "188Re from a 188W/188Re generator at each elution."),
    Verb("delivered_activity", "delivered-activity", "workflow.planning.delivered", "Planning",
         "Activity that reached the patient, from readings of vial and waste, or from its watched injection."),
    Verb("scout_concordance", "scout-concordance", "workflow.planning.concordance", "Planning",
         "Whether the activity went where the scout said: planned against delivered dose."),
    Verb("remaining_tolerance", "adaptive", "workflow.planning.adaptive", "Planning",
         "What the next treatment of a patient may still give to liver and lungs."),
    Verb("monitor", "monitor", "case.verbs.injection", "Delivery",
         "What arrives where while an injection runs, by a gamma camera's frames and a meter; or a replay of it."),
    Verb("prepare_injection", "prepare-injection", "workflow.monitoring.prepare", "Delivery",
         "The setup of a watched injection from CT, structures, plan and one frame of the camera."),
    Verb("simulate_injection", "simulate-injection", "workflow.monitoring.simulate", "Delivery",
         "A simulated injection with known truth: a camera's frames, a meter's readings, the setup for `monitor`."),
    Verb("tumour_response", "response", "workflow.outcome.response", "Outcome",
         "Response of each lesion and patient by the published criteria, with confirmation."),
    Verb("segmented_response", "segmented-response", "workflow.outcome.segmented", "Outcome",
         "Response of lesions that were segmented before and after treatment."),
    Verb("lipiodol_retention", "lipiodol-retention", "workflow.outcome.lipiodol", "Outcome",
         "Lipiodol retained by each lesion, and the response that it means."),
    Verb("remnant_growth", "remnant-growth", "workflow.outcome.remnant", "Outcome",
         "Growth of the future liver remnant."),
    Verb("liver_function", "liver-function", "workflow.outcome.liver_function", "Outcome",
         "ALBI, Child-Pugh, MELD, CTCAE grades and the REILD flag from laboratory values."),
    Verb("survival", "survival", "cohort.survival", "Outcome",
         "Survival of a table of patients: Kaplan-Meier, log-rank, Cox, competing risks."),
    Verb("dose_response", "dose-response", "cohort.dose_response", "Outcome",
         "Probability of response against absorbed dose from a table of lesions."),
    Verb("measurement_agreement", "measurement-agreement", "cohort.agreement", "Outcome",
         "Whether two ways of measuring agree: Bland-Altman, Lin, Passing-Bablok."),
    Verb("diagnostic_accuracy", "diagnostic-accuracy", "cohort.accuracy", "Outcome",
         "Sensitivity, specificity and predictive values of a yes/no test."),
    Verb("release", "release", "workflow.safety.release", "Safety",
         "Dose rates, release rules, contact restrictions, waste and the patient sheet."),
    Verb("virtual_patient", "phantom", "workflow.phantom", "Data",
         "A virtual patient with known anatomy, arteries and activity, as DICOM and NIfTI."),
    Verb("virtual_cohort", "phantom-cohort", "workflow.phantom_cohort", "Data",
         "Many virtual patients with everything varied."),
    Verb("demo", "demo", "case.demo.verb", "Data",
         "The whole course of a patient that hepatica makes itself, each step beside the truth."),
    Verb("list_nuclides", "nuclides", "workflow.data.nuclides", "Data",
         "The nuclides of radioembolization side by side, or one in full."),
    Verb("list_agents", "agents", "workflow.data.agents", "Data",
         "The agents of radioembolization, or one in full."),
    Verb("list_guardrails", "guardrails", "workflow.data.guardrails", "Data",
         "All guardrails: what they look at, when they speak, what to do."),
)  # fmt: skip


def verb_named(name: str) -> Verb:
    """The verb of that command or function name.

    Raises
    ------
    UnknownNameError
        If there is none; the message lists commands and the near ones.
    """
    for found in VERBS:
        if name in (found.command, found.function):
            return found
    raise UnknownNameError("command", name, [found.command for found in VERBS])
