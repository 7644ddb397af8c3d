"""Words that name nobody: those of the field, of file names and of programs."""

from __future__ import annotations

import re

_WORDS = """
anon removed path anonymous
a abdomen abdominal absorbed ac activity acquisition administered after agent agreement all anatomy and anterior
arterial arteries artery as at atlas attenuation axial background baseline before blood body bone bowel bq breath
brain by c calibration camera case cases cbct ci clinical cohort comparison compare contour contours contrast coronal
corrected count counts creatinine csv ct curve curves data date dates dcm decay decays delivered delivery demo density
dicom difference dir distal dose doses dosimetry drawn dual duodenum dvh dynamic emission energy engine example
examples expiration exposure fast fbp file files final first follow folder for free frame from full fused gallbladder
gated geometry glass gray grey gross gtv gy gz gtvs h hcc head heart hepatic hepatica high ho holmium home hu i icc id
im image images img in injection input inputs inspiration iodine it kernel kernels keV kidney kidneys label labels lab
labs left lesion lesions lipiodol list liver livers local low lu lung lungs maa map maps marrow mask masks mean
measured measurement mercury met metastasis microspheres minus mip mnt montecarlo mr mri native necrosis new nifti nii
nm no nodule non normal nrrd old on one opt oral order organ organs original osem out output parenchyma part patient
patients per perfused perfusion pet phantom phantoms phase pixel plan planar planned planning plans portal post
posterior post-treatment pre predicted prior private projection projections ptv q quantification quantified re reading
readings rec recon reconstructed reconstruction recovery ref reference region regions release remnant report reports
research resin response result results rhenium right root roi rois rt rtdose rtplan rtss rtstruct run runs s sagittal
samarium sample samples sc scan scanner scans scatter scout screening second seg segment segmentation segmentations
segments series session set sets shunt simulated simulation single slice slices sm small source spect spheres spleen
src standard static stomach struct structure structures studies study subject subjects surv survival surview table
tables tare task tbm tc td temp template territory territories test tests the therapeutic therapy thorax time tissue
tmp to tomo topogram torso total treatment true truth tumor tumors tumour tumours two uncorrected unknown uptake usr v
value values var vein venous version vial view views visit vol volume volumes voi vois volunteer w water wb week whole
window with without work workspace workspaces x xlsx y year yttrium z zip json toml txt pdf html h33 i33 hs hv hdr mha
mhd npz png svg
"""

HARMLESS = frozenset(_WORDS.lower().split())
"""Lower case. A patient's name that is one of them is replaced only where it stands with the rest of the name."""

_TITLE_WORDS = """
additional aetiology ablation activity again agent angiography balloon bilateral bilobar boost boosted breast
cholangiocarcinoma cirrhosis cirrhotic cohort colorectal compartment cone beam course caudate downstaging draft dual
dosage dose escalation extended extrahepatic feeder first fourth fraction fractions glass hemiliver hepatectomy
hepatocellular carcinoma high hilum hybrid increase intensified intent intrahepatic inferior isotoxic lobar lobe lobes
lobectomy local localised large limit mapping metastases metastatic middle modified multiple neuroendocrine option
palliative personalised personalized portal primary protocol radioembolisation radioembolization radiation reduced
reserve resection retreatment revised second section sectionectomy sector segmental segmentectomy selective sequential
session single sirt small split staged strategy subsegmental superior superselective tace tare third thrombosis
threshold treat treated trial uninodular unilobar update upper uveal melanoma vessel volumetry wedge
"""

MIN_TITLE_WORD = 4
"""Letters of a word of a title that may be a name."""

MAX_DIGITS = 4
"""A number with more digits may be a record's or a date."""


_ORDINARY = """
absent accepted accessory affine air analytic applicable australia auto automatic available bc beam beta bi bilobar both
bsa bsrem bzip calculated centres changed checked circular clamp complete constant cpu cr critical cuda cylinder default
deformable delivery described dew doctor done doubtful easl effective empiric empty ensdf eortc error esse euratom
evaluated external extrahepatic fail failed false fat feet female fit fitted fixed follow france function germany global
gone good gradient gtm gzip headers height hex hidden hole holes hospital icrp identity ignore institution keep
kept known landmarks less levels lifetime like limit line linear lobectomy log look lost male mass max maximum mc
measurements min mird mirrored missing mlem model mono more moving mrecist name named near nearest nema next none not
note nothing nrc number of off oil only open operator optimal option other overlap packed partition pass pd percist
personal photon physical physician plain plausible point power pr preferred prespecified primary prediction prior
qeasl radioembolization radioembolisation range ratio raw ready recist recorded refuse registration rejected replaced
required reserve rg rigid safety sd seen segmentectomy serial sex sfmn shift short similarity skipped skip sphere spine
state stated station step steps stop sure tew text third trapezoid treated undefined unified uniform unilobar unit
unjudged unlike unnamed unspecified until up upper used user verification very violated voxel voxels waiting warning
yes zero
"""

ORDINARY = HARMLESS | frozenset(_ORDINARY.split())
"""Lower case. An identifier, a description or a folder that is one of them says of nobody who it is; options have such
values, and a header has "none" for a number that it lacks. Names of persons are held against `HARMLESS`."""


def is_ordinary(text: str) -> bool:
    """Whether a text is made of ordinary words and short numbers alone; no name of a person is asked this.

    >>> is_ordinary("none"), is_ordinary("scout-reconstruction"), is_ordinary("St. Elsewhere")
    (True, True, False)
    """
    return _made_of(ORDINARY, text)


def is_harmless(text: str) -> bool:
    """Whether a text is made of harmless words and short numbers alone.

    >>> is_harmless("CT_0012.dcm"), is_harmless("Doe_CT"), is_harmless("20260302")
    (True, False, False)
    """
    return _made_of(HARMLESS, text)


def _made_of(words: frozenset[str], text: str) -> bool:
    return all(
        len(part) <= MAX_DIGITS if part.isdecimal() else len(part) == 1 or part.lower() in words
        for part in re.findall(r"[^\W\d_]+|\d+", text)
    )


def title_words(title: str) -> tuple[str, ...]:
    """Words of a title that may be a name: those of four letters or more that are no words of the field.

    >>> title_words("Mustermann, right lobe, HCC 5 cm")
    ('Mustermann',)
    """
    known = HARMLESS | frozenset(_TITLE_WORDS.split())
    words = re.findall(r"[^\W\d_]+", title)
    return tuple(word for word in words if len(word) >= MIN_TITLE_WORD and word.lower() not in known)
