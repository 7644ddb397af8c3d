"""hepatica: open software for transarterial radioembolization. Research software, not a medical device.

::

    import hepatica

    result = hepatica.absorbed_dose("pet/", ct="ct/", structures="rtstruct.dcm", nuclide="Y-90")
    print(result)
    result.save("report")

Every verb of the command line is a function here, every class that its arguments or its result need stands beside it;
what is not named here is private. Nothing is loaded before it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from hepatica.front_door import VERBS
from hepatica.nouns import NOUNS
from hepatica.version import __version__

if TYPE_CHECKING:
    from hepatica.anatomy.ct.tissue_density import DensityOptions
    from hepatica.anatomy.registration.settings import RegistrationOptions
    from hepatica.anatomy.segmentation.propose import SegmentationOptions
    from hepatica.anatomy.structures.clinical import StructureOptions
    from hepatica.anatomy.virtual_patient.patient import VirtualPatient
    from hepatica.anatomy.virtual_patient.settings import (
        AnatomyOptions,
        FlowOptions,
        PatientSettings,
        Treatment,
        Tumour,
        VirtualCtOptions,
    )
    from hepatica.case.case import Case
    from hepatica.case.demo.verb import DemoResult, demo
    from hepatica.case.report.result import CaseReportResult
    from hepatica.case.verbs.change import (
        CaseAddResult,
        CaseCheckResult,
        CaseRunResult,
        CaseSetResult,
        CaseSkipResult,
        CaseTakeResult,
        NewCaseResult,
        add_to_case,
        check_step,
        new_case,
        run_case,
        set_in_case,
        skip_step,
        take_image,
    )
    from hepatica.case.verbs.injection import monitor
    from hepatica.case.verbs.protection import (
        CaseAnonymiseResult,
        CaseEraseResult,
        CasePackResult,
        CaseUnpackResult,
        anonymise_case,
        erase_case,
        pack_case,
        unpack_case,
    )
    from hepatica.case.verbs.report import case_report
    from hepatica.case.verbs.status import CaseLogResult, CaseStatusResult, case_log, case_status
    from hepatica.cohort.accuracy import AccuracyResult, diagnostic_accuracy
    from hepatica.cohort.agreement import AgreementResult, measurement_agreement
    from hepatica.cohort.dose_response import DoseResponseResult, dose_response
    from hepatica.cohort.survival import SurvivalResult, survival
    from hepatica.core.grid import Grid
    from hepatica.core.image import Acquisition, Image, Stated
    from hepatica.core.message import Message
    from hepatica.core.numbers.estimate import Estimate
    from hepatica.core.provenance import InputFile, Provenance
    from hepatica.core.region import Region
    from hepatica.core.tables.table import Table
    from hepatica.core.transform.options import TransformOptions
    from hepatica.core.transform.transform import Transform
    from hepatica.core.volume import Kind, Volume
    from hepatica.dosimetry.engines.dose_map import DoseSettings
    from hepatica.dosimetry.engines.montecarlo import MonteCarloOptions
    from hepatica.dosimetry.metrics.gamma_criteria import GammaOptions
    from hepatica.dosimetry.radiobiology.accumulation import CourseOptions
    from hepatica.dosimetry.radiobiology.dose_map import DoseMapOptions
    from hepatica.dosimetry.radiobiology.sphere_agents import Spheres
    from hepatica.dosimetry.radiobiology.summary import EarlierTreatment, ExposureOptions, TissueOptions
    from hepatica.dosimetry.time.options import TimeOptions
    from hepatica.errors import (
        AmbiguousSeriesError,
        DicomError,
        EvidenceError,
        GeometryError,
        HepaticaError,
        InputError,
        OutputError,
        PhysicsError,
        TableError,
        TimeError,
        UnitError,
        UnknownNameError,
    )
    from hepatica.imaging.calibration.options import (
        CameraExposureOptions,
        PhantomOptions,
        SourceImageOptions,
        SourceOptions,
    )
    from hepatica.imaging.mri.echoes import MultiEcho
    from hepatica.imaging.mri.options import HolmiumOptions, MrReadingOptions, MrSimulationOptions, R2StarOptions
    from hepatica.imaging.pet.acquisition.options import (
        PetCorrectionOptions,
        PetImageOptions,
        PetIterationOptions,
        PetOptions,
        PetPhantomOptions,
        PetScanOptions,
        PetSimulationOptions,
        PetUncertaintyOptions,
    )
    from hepatica.imaging.pet.acquisition.raw import PetRawData
    from hepatica.imaging.pet.scanner import Scanner
    from hepatica.imaging.planar.from_ct.montecarlo import PlanarMonteCarloOptions
    from hepatica.imaging.planar.options import (
        PlanarAttenuationOptions,
        PlanarCountsOptions,
        PlanarOrganOptions,
        PlanarUncertaintyOptions,
    )
    from hepatica.imaging.planar.simulate import PlanarScanOptions
    from hepatica.imaging.planar.views import PlanarViews
    from hepatica.imaging.quantify.camera_factor import CameraCalibration
    from hepatica.imaging.quantify.options import QuantificationOptions
    from hepatica.imaging.quantify.recovery import RecoveryCurve
    from hepatica.imaging.quantify.structure_activity import PartialVolumeOptions
    from hepatica.imaging.reconstruct.algorithms import IterationOptions
    from hepatica.imaging.reconstruct.levels.options import SpectLungOptions
    from hepatica.imaging.spect.camera.cameras import GammaCamera, gamma_camera
    from hepatica.imaging.spect.options import (
        AcquisitionOptions,
        NoiseOptions,
        ScatterOptions,
        SpectInputOptions,
        WithoutCtOptions,
    )
    from hepatica.imaging.spect.projections import Projections
    from hepatica.imaging.spect.scan import MonteCarloScanOptions, ScanOptions
    from hepatica.imaging.spect.scan_facts import ScannedActivityOptions, SimulationOptions
    from hepatica.imaging.spect.scan_model import SpectOptions
    from hepatica.io.read import CtOptions, ImageOptions, read_image, scan
    from hepatica.io.structures.regions import read_structures
    from hepatica.monitoring.options import FrameOptions, InjectionOptions, WatchOptions
    from hepatica.nuclides import Agent, Nuclide, agent, nuclide
    from hepatica.outcome.adaptive import NextTreatment, PastTreatment, PatientStatus
    from hepatica.outcome.analyses.dose_response import CurveOptions
    from hepatica.outcome.analyses.survival_table import SurvivalColumns, SurvivalModels
    from hepatica.planning.delivery.concordance import ConcordanceOptions
    from hepatica.planning.delivery.delivered import DeliveryOptions, VialReadingOptions
    from hepatica.planning.delivery.order import VialOrderOptions
    from hepatica.planning.limits.assess import Patient
    from hepatica.planning.measured.earlier_results import EarlierOptions
    from hepatica.planning.planner.agent_comparison import CompareAim
    from hepatica.planning.planner.best_activity import Uncertainty
    from hepatica.planning.planner.course import Aims, Course, Territory
    from hepatica.planning.planner.plan_file import Plan
    from hepatica.planning.planner.prescribe import (
        AimOptions,
        MassOptions,
        PerfusedOptions,
        RuleOptions,
        SubstanceOptions,
    )
    from hepatica.planning.planner.territories import PreviousTreatment
    from hepatica.planning.planner.voxel import PlanImages
    from hepatica.planning.prescriptions.compartments import Lesion, Partition
    from hepatica.planning.prescriptions.lipiodol import OrganUptake
    from hepatica.planning.scout.lung_shunt import PlanarShuntOptions, SpectShuntOptions
    from hepatica.planning.scout.lungs import LungDoseOptions
    from hepatica.planning.scout.scan import ScoutOptions
    from hepatica.planning.scout.treated_lungs import LungOptions
    from hepatica.planning.scout.uptake import UptakeOptions
    from hepatica.safety.plan import ContactOptions, DoseRateOptions
    from hepatica.transport.runner.settings import StoppingOptions
    from hepatica.web.verb import WorkbenchResult, workbench
    from hepatica.workflow.data.agents import AgentsResult, list_agents
    from hepatica.workflow.data.guardrails import GuardrailsResult, list_guardrails
    from hepatica.workflow.data.nuclides import NuclidesResult, list_nuclides
    from hepatica.workflow.dose.absorbed_dose import absorbed_dose
    from hepatica.workflow.dose.comparison import DoseComparisonResult, compare_doses
    from hepatica.workflow.dose.kernel import VoxelKernelResult, voxel_kernel
    from hepatica.workflow.dose.options import DoseOptions, OutputOptions
    from hepatica.workflow.dose.quantify import QuantifyResult, quantify
    from hepatica.workflow.dose.radiobiology import RadiobiologyResult, radiobiology
    from hepatica.workflow.dose.result import DoseResult
    from hepatica.workflow.dose.spheres import SpheresResult, compare_spheres
    from hepatica.workflow.inspect import InspectResult, inspect_images
    from hepatica.workflow.monitoring.keeping import KeepOptions
    from hepatica.workflow.monitoring.prepare import (
        InjectionCameraOptions,
        InjectionSetupResult,
        PlannedInjectionOptions,
        prepare_injection,
    )
    from hepatica.workflow.monitoring.result import MonitorResult
    from hepatica.workflow.monitoring.simulate import InjectionResult, simulate_injection
    from hepatica.workflow.mri.agreement import SpectMriOptions, SpectMriResult, spect_mri_agreement
    from hepatica.workflow.mri.holmium import holmium_mri
    from hepatica.workflow.mri.result import HolmiumResult
    from hepatica.workflow.mri.simulate import MrSimulationResult, simulate_mri
    from hepatica.workflow.outcome.lipiodol import RetentionResult, lipiodol_retention
    from hepatica.workflow.outcome.liver_function import LiverFunctionResult, liver_function
    from hepatica.workflow.outcome.remnant import RemnantResult, remnant_growth
    from hepatica.workflow.outcome.response import ResponseResult, tumour_response
    from hepatica.workflow.outcome.segmented import SegmentedResponseResult, segmented_response
    from hepatica.workflow.pet.reconstruct import PetResult, reconstruct_pet
    from hepatica.workflow.pet.simulate import PetSimulationResult, simulate_pet
    from hepatica.workflow.phantom import VirtualPatientResult, virtual_patient
    from hepatica.workflow.phantom_cohort import VirtualCohortResult, virtual_cohort
    from hepatica.workflow.planar.biodistribution import BiodistributionResult, biodistribution
    from hepatica.workflow.planar.given import PlanarGivenOptions, TransmissionOptions
    from hepatica.workflow.planar.options import BiodistributionOptions
    from hepatica.workflow.planar.reading import PlanarReadingOptions
    from hepatica.workflow.planar.simulate import PlanarSimulationOptions, PlanarSimulationResult, simulate_planar
    from hepatica.workflow.planning.adaptive import DoseResultOptions, ToleranceResult, remaining_tolerance
    from hepatica.workflow.planning.compare_agents import AgentComparisonResult, compare_agents
    from hepatica.workflow.planning.concordance import ConcordanceResult, scout_concordance
    from hepatica.workflow.planning.delivered import DeliveredResult, delivered_activity
    from hepatica.workflow.planning.generator import ElutionResult, elute_generator
    from hepatica.workflow.planning.lung_shunt import LungShuntResult, lung_shunt
    from hepatica.workflow.planning.plan.file import PlanTemplateResult, plan_template
    from hepatica.workflow.planning.plan.plan import PlanResult, plan
    from hepatica.workflow.planning.planar import PlanarViewOptions
    from hepatica.workflow.planning.prescribe import PrescriptionResult, prescribe
    from hepatica.workflow.planning.tumour_to_normal import UptakeResult, tumour_to_normal
    from hepatica.workflow.planning.vial import VialOrderResult, order_vial
    from hepatica.workflow.registration.accumulate import AccumulatedDoseResult, accumulated_dose
    from hepatica.workflow.registration.register import KnownPlaces, RegisteredImages, RegistrationResult, register
    from hepatica.workflow.registration.warp import WarpOptions, WarpResult, warp_image
    from hepatica.workflow.result import Result
    from hepatica.workflow.safety.release import ReleaseResult, SheetOptions, release
    from hepatica.workflow.schema import schema
    from hepatica.workflow.segmentation.segment import SegmentReading, SegmentResult, segment
    from hepatica.workflow.spect.calibrate import CalibrationResult, calibrate_camera
    from hepatica.workflow.spect.reconstruct import SpectResult, reconstruct_spect
    from hepatica.workflow.spect.simulate import SimulationResult, simulate_spect

_HOMES = {**NOUNS, **{verb.function: verb.home for verb in VERBS}}

__all__ = [
    "AccumulatedDoseResult",
    "AccuracyResult",
    "Acquisition",
    "AcquisitionOptions",
    "Agent",
    "AgentComparisonResult",
    "AgentsResult",
    "AgreementResult",
    "AimOptions",
    "Aims",
    "AmbiguousSeriesError",
    "AnatomyOptions",
    "BiodistributionOptions",
    "BiodistributionResult",
    "CalibrationResult",
    "CameraCalibration",
    "CameraExposureOptions",
    "Case",
    "CaseAddResult",
    "CaseAnonymiseResult",
    "CaseCheckResult",
    "CaseEraseResult",
    "CaseLogResult",
    "CasePackResult",
    "CaseReportResult",
    "CaseRunResult",
    "CaseSetResult",
    "CaseSkipResult",
    "CaseStatusResult",
    "CaseTakeResult",
    "CaseUnpackResult",
    "CompareAim",
    "ConcordanceOptions",
    "ConcordanceResult",
    "ContactOptions",
    "Course",
    "CourseOptions",
    "CtOptions",
    "CurveOptions",
    "DeliveredResult",
    "DeliveryOptions",
    "DemoResult",
    "DensityOptions",
    "DicomError",
    "DoseComparisonResult",
    "DoseMapOptions",
    "DoseOptions",
    "DoseRateOptions",
    "DoseResponseResult",
    "DoseResult",
    "DoseResultOptions",
    "DoseSettings",
    "EarlierOptions",
    "EarlierTreatment",
    "ElutionResult",
    "Estimate",
    "EvidenceError",
    "ExposureOptions",
    "FlowOptions",
    "FrameOptions",
    "GammaCamera",
    "GammaOptions",
    "GeometryError",
    "Grid",
    "GuardrailsResult",
    "HepaticaError",
    "HolmiumOptions",
    "HolmiumResult",
    "Image",
    "ImageOptions",
    "InjectionCameraOptions",
    "InjectionOptions",
    "InjectionResult",
    "InjectionSetupResult",
    "InputError",
    "InputFile",
    "InspectResult",
    "IterationOptions",
    "KeepOptions",
    "Kind",
    "KnownPlaces",
    "Lesion",
    "LiverFunctionResult",
    "LungDoseOptions",
    "LungOptions",
    "LungShuntResult",
    "MassOptions",
    "Message",
    "MonitorResult",
    "MonteCarloOptions",
    "MonteCarloScanOptions",
    "MrReadingOptions",
    "MrSimulationOptions",
    "MrSimulationResult",
    "MultiEcho",
    "NewCaseResult",
    "NextTreatment",
    "NoiseOptions",
    "Nuclide",
    "NuclidesResult",
    "OrganUptake",
    "OutputError",
    "OutputOptions",
    "PartialVolumeOptions",
    "Partition",
    "PastTreatment",
    "Patient",
    "PatientSettings",
    "PatientStatus",
    "PerfusedOptions",
    "PetCorrectionOptions",
    "PetImageOptions",
    "PetIterationOptions",
    "PetOptions",
    "PetPhantomOptions",
    "PetRawData",
    "PetResult",
    "PetScanOptions",
    "PetSimulationOptions",
    "PetSimulationResult",
    "PetUncertaintyOptions",
    "PhantomOptions",
    "PhysicsError",
    "Plan",
    "PlanImages",
    "PlanResult",
    "PlanTemplateResult",
    "PlanarAttenuationOptions",
    "PlanarCountsOptions",
    "PlanarGivenOptions",
    "PlanarMonteCarloOptions",
    "PlanarOrganOptions",
    "PlanarReadingOptions",
    "PlanarScanOptions",
    "PlanarShuntOptions",
    "PlanarSimulationOptions",
    "PlanarSimulationResult",
    "PlanarUncertaintyOptions",
    "PlanarViewOptions",
    "PlanarViews",
    "PlannedInjectionOptions",
    "PrescriptionResult",
    "PreviousTreatment",
    "Projections",
    "Provenance",
    "QuantificationOptions",
    "QuantifyResult",
    "R2StarOptions",
    "RadiobiologyResult",
    "RecoveryCurve",
    "Region",
    "RegisteredImages",
    "RegistrationOptions",
    "RegistrationResult",
    "ReleaseResult",
    "RemnantResult",
    "ResponseResult",
    "Result",
    "RetentionResult",
    "RuleOptions",
    "ScanOptions",
    "ScannedActivityOptions",
    "Scanner",
    "ScatterOptions",
    "ScoutOptions",
    "SegmentReading",
    "SegmentResult",
    "SegmentationOptions",
    "SegmentedResponseResult",
    "SheetOptions",
    "SimulationOptions",
    "SimulationResult",
    "SourceImageOptions",
    "SourceOptions",
    "SpectInputOptions",
    "SpectLungOptions",
    "SpectMriOptions",
    "SpectMriResult",
    "SpectOptions",
    "SpectResult",
    "SpectShuntOptions",
    "Spheres",
    "SpheresResult",
    "Stated",
    "StoppingOptions",
    "StructureOptions",
    "SubstanceOptions",
    "SurvivalColumns",
    "SurvivalModels",
    "SurvivalResult",
    "Table",
    "TableError",
    "Territory",
    "TimeError",
    "TimeOptions",
    "TissueOptions",
    "ToleranceResult",
    "Transform",
    "TransformOptions",
    "TransmissionOptions",
    "Treatment",
    "Tumour",
    "Uncertainty",
    "UnitError",
    "UnknownNameError",
    "UptakeOptions",
    "UptakeResult",
    "VialOrderOptions",
    "VialOrderResult",
    "VialReadingOptions",
    "VirtualCohortResult",
    "VirtualCtOptions",
    "VirtualPatient",
    "VirtualPatientResult",
    "Volume",
    "VoxelKernelResult",
    "WarpOptions",
    "WarpResult",
    "WatchOptions",
    "WithoutCtOptions",
    "WorkbenchResult",
    "__version__",
    "absorbed_dose",
    "accumulated_dose",
    "add_to_case",
    "agent",
    "anonymise_case",
    "biodistribution",
    "calibrate_camera",
    "case_log",
    "case_report",
    "case_status",
    "check_step",
    "compare_agents",
    "compare_doses",
    "compare_spheres",
    "delivered_activity",
    "demo",
    "diagnostic_accuracy",
    "dose_response",
    "elute_generator",
    "erase_case",
    "gamma_camera",
    "holmium_mri",
    "inspect_images",
    "lipiodol_retention",
    "list_agents",
    "list_guardrails",
    "list_nuclides",
    "liver_function",
    "lung_shunt",
    "measurement_agreement",
    "monitor",
    "new_case",
    "nuclide",
    "order_vial",
    "pack_case",
    "plan",
    "plan_template",
    "prepare_injection",
    "prescribe",
    "quantify",
    "radiobiology",
    "read_image",
    "read_structures",
    "reconstruct_pet",
    "reconstruct_spect",
    "register",
    "release",
    "remaining_tolerance",
    "remnant_growth",
    "run_case",
    "scan",
    "schema",
    "scout_concordance",
    "segment",
    "segmented_response",
    "set_in_case",
    "simulate_injection",
    "simulate_mri",
    "simulate_pet",
    "simulate_planar",
    "simulate_spect",
    "skip_step",
    "spect_mri_agreement",
    "survival",
    "take_image",
    "tumour_response",
    "tumour_to_normal",
    "unpack_case",
    "virtual_cohort",
    "virtual_patient",
    "voxel_kernel",
    "warp_image",
    "workbench",
]


if not TYPE_CHECKING:  # a checker knows the names above, and finds a misspelt one

    def __getattr__(name: str) -> Any:
        """Load a public name where it is first used, so that ``import hepatica`` stays fast."""
        if name in _HOMES:
            return getattr(importlib.import_module(f"hepatica.{_HOMES[name]}"), name)
        if name.startswith("_"):  # asked for by tools that look into modules, many times
            raise AttributeError(f"module 'hepatica' has no attribute {name!r}")
        from difflib import get_close_matches

        near = get_close_matches(name, __all__, n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise AttributeError(f"module 'hepatica' has no attribute {name!r}{hint}")


def __dir__() -> list[str]:
    return sorted(__all__)
