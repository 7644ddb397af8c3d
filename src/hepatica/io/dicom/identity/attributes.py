"""Attributes by what they say of a person (DICOM PS3.15, table E.1-1)."""

from __future__ import annotations

PEOPLE = (
    "PatientName", "OtherPatientNames", "PatientBirthName", "PatientMotherBirthName", "ResponsiblePerson",
    "ReferringPhysicianName", "ConsultingPhysicianName", "PhysiciansOfRecord", "PerformingPhysicianName",
    "NameOfPhysiciansReadingStudy", "OperatorsName", "RequestingPhysician", "ScheduledPerformingPhysicianName",
    "ContentCreatorName", "ReviewerName",
)  # fmt: skip
"""Names of persons."""

CODES = (
    "OtherPatientIDs", "IssuerOfPatientID", "AccessionNumber", "StudyID", "InstitutionName", "InstitutionAddress",
    "InstitutionalDepartmentName", "StationName", "DeviceSerialNumber", "DetectorID", "GantryID", "PatientAddress",
    "PatientTelephoneNumbers", "RequestedProcedureID", "PerformedProcedureStepID", "ScheduledProcedureStepID",
    "AdmissionID", "MedicalRecordLocator", "MilitaryRank", "Occupation", "EthnicGroup", "RequestingService",
    "CurrentPatientLocation", "RegionOfResidence", "CountryOfResidence", "PatientReligiousPreference",
)  # fmt: skip
"""Numbers, institutions, devices and other facts by which somebody could be found."""

DESCRIPTIONS = (
    "StudyDescription", "SeriesDescription", "ProtocolName", "ImageComments", "PatientComments", "StudyComments",
    "RequestedProcedureDescription", "PerformedProcedureStepDescription", "AdditionalPatientHistory",
    "DerivationDescription", "AcquisitionComments", "FrameComments", "ReasonForStudy", "DoseComment",
    "StructureSetLabel", "StructureSetName", "StructureSetDescription", "RTPlanLabel",
)  # fmt: skip
"""Free text."""

DAYS = (
    "PatientBirthDate", "StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate", "InstanceCreationDate",
    "StructureSetDate", "DateOfLastCalibration", "LastMenstrualDate",
)  # fmt: skip
"""Dates."""

EMPTIED = (
    "AccessionNumber", "ContentCreatorName", "OperatorsName", "PatientBirthDate", "ROIInterpreter",
    "ReferringPhysicianName",
)  # fmt: skip
"""Attributes that objects must have and the profile empties (Z in the table)."""

KEPT = (
    "AcquisitionDate", "AcquisitionDateTime", "AcquisitionNumber", "AcquisitionTime", "ActualFrameDuration",
    "AlgorithmFamilyCodeSequence", "AlgorithmName", "AlgorithmVersion", "AngularStep", "AngularViewVector",
    "ApprovalStatus", "BitsAllocated", "BitsStored", "BodyPartExamined", "BurnedInAnnotation", "CodeMeaning",
    "CodeValue", "CodingSchemeDesignator", "CollimatorType", "Columns", "CompletionFlag", "ConceptCodeSequence",
    "ConceptNameCodeSequence", "ContentDate", "ContentDescription", "ContentLabel", "ContentSequence",
    "ContentTemplateSequence", "ContentTime", "ContinuityOfContent", "ContourData", "ContourGeometricType",
    "ContourImageSequence", "ContourSequence", "ContributingEquipmentSequence", "ContributionDescription",
    "ConversionType", "CorrectedImage", "CountsAccumulated", "CountsSource", "DateTime", "DecayCorrection",
    "DecayFactor", "DeformableRegistrationGridSequence", "DeformableRegistrationSequence", "DeidentificationMethod",
    "DeidentificationMethodCodeSequence", "DerivationCodeSequence", "DerivationDescription", "DerivationImageSequence",
    "DetectorInformationSequence", "DetectorVector", "DeviceSerialNumber", "DimensionDescriptionLabel",
    "DimensionIndexPointer", "DimensionIndexSequence", "DimensionIndexValues", "DimensionOrganizationSequence",
    "DimensionOrganizationUID", "DocumentTitle", "DoseComment", "DoseGridScaling", "DoseSummationType", "DoseType",
    "DoseUnits", "EncapsulatedDocument", "EncapsulatedDocumentLength", "EnergyWindowInformationSequence",
    "EnergyWindowLowerLimit", "EnergyWindowName", "EnergyWindowRangeSequence", "EnergyWindowUpperLimit",
    "EnergyWindowVector", "FloatingPointValue", "FocalDistance", "FrameContentSequence", "FrameIncrementPointer",
    "FrameOfReferenceTransformationComment", "FrameOfReferenceTransformationMatrix",
    "FrameOfReferenceTransformationMatrixType", "FrameOfReferenceUID", "FrameReferenceTime", "FunctionalGroupPointer",
    "GridDimensions", "GridFrameOffsetVector", "GridResolution", "HighBit", "ImageComments", "ImageIndex",
    "ImageOrientationPatient", "ImagePositionPatient", "ImageType", "InstanceCreationDate", "InstanceCreationTime",
    "InstanceNumber", "KVP", "LUTExplanation", "LUTLabel", "LongitudinalTemporalInformationModified",
    "LossyImageCompression", "MIMETypeOfEncapsulatedDocument", "Manufacturer", "ManufacturerModelName",
    "MappingResource", "MatrixRegistrationSequence", "MatrixSequence", "MaximumFractionalValue",
    "MeasuredValueSequence", "MeasurementUnitsCodeSequence", "Modality", "NumberOfContourPoints", "NumberOfDetectors",
    "NumberOfEnergyWindows", "NumberOfFractionsIncluded", "NumberOfFrames", "NumberOfFramesInRotation",
    "NumberOfRotations", "NumberOfSlices", "NumberOfTimeSlots", "NumericValue", "ObservationNumber",
    "PatientGantryRelationshipCodeSequence", "PatientID", "PatientIdentityRemoved", "PatientName",
    "PatientOrientationCodeSequence", "PatientPosition", "PatientSex", "PatientSize", "PatientWeight",
    "PerFrameFunctionalGroupsSequence", "PerformedProcedureCodeSequence", "PhotometricInterpretation", "PixelData",
    "PixelMeasuresSequence", "PixelRepresentation", "PixelSpacing", "PlanOverviewIndex", "PlanOverviewSequence",
    "PlaneOrientationSequence", "PlanePositionSequence", "PositionReferenceIndicator",
    "PostDeformationMatrixRegistrationSequence", "PreDeformationMatrixRegistrationSequence",
    "PrescriptionOverviewSequence", "PresentationLUTShape", "PurposeOfReferenceCodeSequence", "ROIContourSequence",
    "ROIDescription", "ROIDisplayColor", "ROIGenerationAlgorithm", "ROIName", "ROINumber", "ROIVolume", "RTPlanLabel",
    "RTROIInterpretedType", "RTROIObservationsSequence", "RTReferencedSeriesSequence", "RTReferencedStudySequence",
    "RadialPosition", "RadionuclideCodeSequence", "RadionuclideHalfLife", "RadionuclidePositronFraction",
    "RadionuclideTotalDose", "Radiopharmaceutical", "RadiopharmaceuticalInformationSequence",
    "RadiopharmaceuticalRoute", "RadiopharmaceuticalStartDateTime", "RadiopharmaceuticalStartTime",
    "RealWorldValueFirstValueMapped", "RealWorldValueIntercept", "RealWorldValueLastValueMapped",
    "RealWorldValueMappingSequence", "RealWorldValueSlope", "ReferencedFrameNumber",
    "ReferencedFrameOfReferenceSequence", "ReferencedFrameOfReferenceUID", "ReferencedImageSequence",
    "ReferencedInstanceSequence", "ReferencedPerformedProcedureStepSequence", "ReferencedROINumber",
    "ReferencedSOPClassUID", "ReferencedSOPInstanceUID", "ReferencedSegmentNumber", "ReferencedSeriesSequence",
    "ReferencedStructureSetSequence", "RegistrationSequence", "RegistrationTypeCodeSequence", "RelationshipType",
    "RescaleIntercept", "RescaleSlope", "RescaleType", "RotationDirection", "RotationInformationSequence",
    "RotationVector", "Rows", "SOPClassUID", "SOPInstanceUID", "SamplesPerPixel", "ScanArc", "SegmentAlgorithmName",
    "SegmentAlgorithmType", "SegmentIdentificationSequence", "SegmentLabel", "SegmentNumber", "SegmentSequence",
    "SegmentationAlgorithmIdentificationSequence", "SegmentationFractionalType", "SegmentationType",
    "SegmentedPropertyCategoryCodeSequence", "SegmentedPropertyTypeCodeSequence", "SegmentsOverlap", "SeriesDate",
    "SeriesDescription", "SeriesInstanceUID", "SeriesNumber", "SeriesTime", "SeriesType",
    "SharedFunctionalGroupsSequence", "SliceThickness", "SliceVector", "SoftwareVersions", "SourceFrameOfReferenceUID",
    "SourceImageSequence", "SpacingBetweenSlices", "SpatialLocationsPreserved", "SpecificCharacterSet", "StartAngle",
    "StructureSetDate", "StructureSetDescription", "StructureSetLabel", "StructureSetROISequence", "StructureSetTime",
    "StudiesContainingOtherReferencedInstancesSequence", "StudyDate", "StudyID", "StudyInstanceUID", "StudyTime",
    "TemplateIdentifier", "TextValue", "TimezoneOffsetFromUTC", "TissueHeterogeneityCorrection", "TreatmentSite",
    "TreatmentSiteCodeSequence", "UID", "Units", "ValueType", "VectorGridData", "VerificationFlag", "XFocusCenter",
    "YFocusCenter",
)  # fmt: skip
"""Attributes that may stay: geometry, pixels, codes, new UIDs, shifted dates, and texts of hepatica's own making."""

MORE_OF_IMAGES = (
    "AttenuationCorrected", "AttenuationCorrectionMethod", "CollimatorGridName", "ContourOffsetVector",
    "ContourSlabThickness", "ContrastBolusAgent", "ContrastBolusRoute", "ConvolutionKernel", "DecayCorrected",
    "DecayCorrectionDateTime", "EchoNumbers", "EchoTime", "FlipAngle", "FrameAcquisitionDateTime", "LongCodeValue",
    "MRAcquisitionType", "MagneticFieldStrength", "ModalityLUTSequence", "NumberOfFramesInPhase", "NumberOfPhases",
    "NumberOfRRIntervals", "NumberOfTimeSlices", "PauseBetweenFrames", "PhaseDelay", "PhaseInformationSequence",
    "PhaseVector", "PixelPaddingRangeLimit", "PixelPaddingValue", "PixelValueTransformationSequence",
    "RRIntervalVector", "RTROIIdentificationCodeSequence", "RadiopharmaceuticalCodeSequence", "RandomsCorrectionMethod",
    "RealWorldValueLUTData", "ReconstructionMethod", "RepetitionTime", "SUVType", "ScanningSequence",
    "ScatterCorrected", "ScatterCorrectionMethod", "SegmentedPropertyTypeModifierCodeSequence", "SequenceVariant",
    "TemporalPositionIdentifier", "TemporalPositionIndex", "TimeSliceVector", "TimeSlotVector", "TriggerTime",
    "ViewCodeSequence", "WindowCenter", "WindowWidth",
)  # fmt: skip
"""Attributes of scanners' images that may stay too: readers need them, and they say nothing of a person."""

FREE_TEXTS = (
    "ContentDescription", "ContributingEquipmentSequence", "ContributionDescription", "DerivationDescription",
    "DeviceSerialNumber", "DocumentTitle", "DoseComment", "EncapsulatedDocument",
    "FrameOfReferenceTransformationComment", "ImageComments", "LUTExplanation", "ROIDescription", "RTPlanLabel",
    "SeriesDescription", "StructureSetDescription", "TextValue", "TreatmentSite", "TreatmentSiteCodeSequence",
)  # fmt: skip
"""Attributes that hold words of our own making in our objects, and anything in those of others."""
