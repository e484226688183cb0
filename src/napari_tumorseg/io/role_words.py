"""Vocabulary of sequence names: the words that scanners, data sets and people use, by their meaning.

All words are lower case and without accents. `name_words` cuts names into them, `roles` puts them together.
"""

from __future__ import annotations

from napari_tumorseg.scan import Role


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SEQUENCES: dict[str, Role] = {
    **dict.fromkeys(_words("t1 t1w t1wi t1n unit1"), Role.T1),
    **dict.fromkeys(_words("t1c t1ce t1gd t1cw t1wc t1wce ct1 ct1w"), Role.T1C),
    **dict.fromkeys(_words("t2 t2w t2wi"), Role.T2),
    **dict.fromkeys(_words("flair fla t2f darkfluid fluidattenuated"), Role.FLAIR),
}
"""Words that name a modality by themselves."""

PULSES: dict[str, Role] = {
    **dict.fromkeys(
        _words(
            "mprage mpr memprage mp2rage fspgr spgr dispgr bravo vibe starvibe tfe lava thrive ethrive "
            "flash tfl tfl3d fl2d fl3d"
        ),
        Role.T1,
    ),
    **dict.fromkeys(_words("haste ssfse"), Role.T2),
    **dict.fromkeys(_words("tirm fl"), Role.FLAIR),
}
"""Pulse sequences; they show a modality only where no other word does."""

CONTESTED_PULSES = _words("tirm fl flash haste ssfse")
"""Pulse sequences that make other modalities, too."""

GRADIENT_ECHO = _words(
    "star gre fgre ffe fl fl2d fl3d hemo haemo hem heme medic me2d me3d flash epi ep2d swi"
)
"""With T2 these make a T2*-weighted image, which is no T2 to a model."""

AGENTS = _words(
    "gd gad gado gadolinium gadolinio gadolineo gadoterate gadoterat gadoteric gadoteridol gadobutrol "
    "gadobenate gadobenat gadopentetate gadopentetat gadodiamide gadodiamid gadoversetamide gadoxetate "
    "gadoxetat gadoxetic gadofosveset gadopiclenol gadovist gadavist gadograf dotarem dotagraf dotagita "
    "artirem clariscan magnevist magnegita multihance prohance omniscan optimark primovist eovist ablavar "
    "vasovist vueway elucirem dtpa dota bopta gddtpa gddota gbca cmdc ce contrast contraste contrasto "
    "contraste kontrast kontrastu kontrastmittel contrastmittel contrastmiddel km mkm nkm mdc mdk civ pdc "
    "enhanced enhancement enh inj injection injecte injectee injected iniettato inyeccion wcontrast wgad "
    "wgd"
)
"""Words for contrast agent."""

AGENT_STEM = "gado"
"""Any other word that begins with this is taken as an agent, with a note."""

WITH_ALONE = _words("with avec mit con com met")
"""At the end of a name these mean "with contrast agent", with a note."""

DOUBTFUL = _words(
    "agent dye bolus contr kontr gabe yes ja oui after nach apres dopo despues depois late delayed early "
    "arterial venous uptake washout anreicherung"
)
DOUBTFUL_STEMS = (
    "gad",
    "gd",
    "km",
    "mdc",
    "contras",
    "kontras",
    "inj",
    "iniez",
    "inyec",
    "enhan",
    "verstark",
)
"""Words beside a T1, and beginnings of words behind one, that may speak of contrast agent."""

NEGATIONS = _words(
    "without wo no non not un o ohne kein sans senza sin sem zonder uten utan uden bez nicht pre prae "
    "pra before vor avant prima antes minus"
)
"""Words that turn a word for contrast agent behind them into its opposite."""

NEGATION_LETTERS = _words("s ss b")
"""Abbreviated negations before a word for contrast agent: senza, sans, bez; in some languages "with"."""

NEGATIONS_BEHIND = _words("neg negativ negative negativo negativa negatif minus nein none")
"""Words that turn a word for contrast agent before them into its opposite; at its end the others do, too."""

NEGATIONS_OF_TUMOUR = _words("non no not without")
"""Words that turn a word for a tumour behind them into its opposite."""

NEGATIONS_ALONE = _words("without wo ohne sans senza")
"""Negations that mean "without contrast agent" even where the agent is left out."""

PLAIN = _words(
    "plain native nativ nativo nativa natif unenhanced nonenhanced noncontrast precontrast okm smdc basale"
)
"""Words that say "without contrast agent" by themselves."""

TIMES = _words(
    "op ope operative operation operatif operatoire operatoria operatorio surgery surgical surg resection "
    "resektion resec biopsy biopsie bx craniotomy chemo chemotherapy chemotherapie chemorad "
    "chemoradiation chemoradiotherapy crt ccrt rct rt rtx radio radiation radiotherapy radiotherapie "
    "radiochemo radiochemotherapy radiosurgery xrt srs srt gk gkrs gammaknife treatment treat tx rx tmz "
    "therapy therapie bev bevacizumab avastin immuno immunotherapy ablation litt implant implantation "
    "shunt ictal natal mortem partum trauma injury stroke baseline progression recurrence processed "
    "processing process proc day days week weeks month months year years hours"
)
"""Behind "pre", "post" and `TIMED` these stand for a point in time, as in post-op."""

TIMED = _words("pre post prae before vor avant prima antes after nach apres dopo despues depois")
"""Words that stand for a time if one of `TIMES` follows."""

UNITS = _words("d day days w wk wks week weeks m mo mon month months y yr year years h hr hrs hour hours")
"""Behind a number these stand for a time, too: post 3 months."""

FILLERS = _words(
    "iv i v in the of any de di du del della des da le la w with mit con avec com dose single double "
    "agent bolus"
)
"""Words that may stand between a negation, "pre" or "post" and the agent."""

TARGETS = _words("to in on onto into auf sur")
"""Behind these a modality is the image that another one was registered to, as in FLAIR_in_T1."""

REGISTERED = _words("reg registered coreg coregistered aligned space warped")
"""Between two modalities these make the second one the target of a registration."""

DERIVED = _words(
    "map maps mapping adc eadc dwi dti dki trace tracew swi swan venobold qsm cbv rcbv cbf rcbf mtt ttp "
    "tmax perf perfusion pwi dce dsc asl pcasl pasl ktrans kep aif dyn dynamic dynamics subtraction "
    "subtracted subtraktion subtrahiert soustraction sottrazione sustraccion bold fmri mra mrv tof angio "
    "angiogram angiography venogram venography localizer localiser scout survey calibration mip minip "
    "mips mrs svs csi spectroscopy ep2d epi diff diffusion jacobian deformation displacement warp ratio "
    "t1rho molli biasfield fieldmap voided synthsr entropy uncertainty saliency gradcam residual r2star "
    "phase imaginary magnetization difference"
)
"""Words for what is measured or computed otherwise than as one of the four modalities."""

DIFFERENCES = _words("minus sub diff delta")
"""Between two modalities these make the difference of both."""

OTHER_SCANS = _words("ct cta ctp pet spect us ultrasound xray dsa")
"""Other ways to make an image: contrast agent means nothing for MRI there."""

PARCELLATIONS = _words(
    "synthseg aseg aparc wmparc pve pveseg mixeltype probseg prob probs probability probabilities proba "
    "softmax logits logit heatmap parcellation parc ribbon aal dkt samseg tissueseg tissues"
)
"""Words for parcellations, tissue maps and probabilities: neither images nor tumour masks."""

BRAIN = _words(
    "brain bet hdbet synthstrip skullstrip skullstripped skullstripping stripped strip parenchyma "
    "parenchym parenchymal icv tiv intracranial robex deepbet optibet gehirn hirn cerveau cervello "
    "cerebro cerebral encephale extraction extracted"
)
"""Words that make a mask one of the brain."""

BRAIN_ALONE = _words("parenchyma bmask")
"""Words that mean a mask of the brain by themselves."""

EXTRACTORS = _words(
    "bet hdbet synthstrip skullstrip skullstripped skullstripping stripped strip robex deepbet"
)
"""Tools for brain extraction: their mask is one of the brain, but a "seg" of their image is of the tumour."""

ANATOMY = _words(
    "ventricle ventricles ventricular cerebrum gm wm csf tissue skull head scalp face deface defacing "
    "hippocampus healthy vessel vessels eye eyes air white gray grey matter cerebellum brainstem thalamus "
    "lobe ganglia hemisphere midline bone body foreground background cavity overlap fov atlas "
    "fast perfusion perf pwi"
)
"""Words that make a mask one of something that is neither tumour nor brain."""

TUMOUR = _words(
    "tumor tumour tumors tumours tumeur tumore tumoral lesion lesions lasion laesion lesione gtv "
    "otmulticlass otmulti glistr glistrboost edema oedema necrosis unhealthy"
)
"""Words for a tumour; in a name they make it a mask of one."""

MASKS = _words(
    "seg segs segm segmentation segmentations segmentierung segmentazione segmentacion segmented mask "
    "masks maske masken masque maschera mascara label labels labelmap labelmaps roi rois gt groundtruth "
    "annotation annotations contour contours dseg truth"
)
"""Words for a mask."""

MASK_ENDINGS = ("segmentation", "mask", "seg", "label")
"""Endings by which an unknown word is one for a mask, as in ``nnunetseg``."""

TECHNIQUE = _words(
    "ax axi axial axiale sag sagit sagittal sagittale cor coro coronal coronale tra trans transv "
    "transversal transverse trs obl oblique 3d 2d tse fse frfse se ir fs fatsat fat sat space cube view "
    "vista brainview blade propeller dixon mdixon drive iso isotropic isovoxel hr hires highres weighted "
    "gewichtet wi image images img imgs norm bias corrected corr n3 n4 n4itk mr mri mrt irm rm head kopf "
    "turbo nav vol volume scan orig raw resampled reg coreg final mni nii gz brain restore"
)
"""Planes, techniques and processing: no modality, but part of an image's name rather than of a patient's."""

SILENT_ENTITIES = _words(
    "sub ses space run echo dir task res den hemi from to split chunk flip inv mod mt proc recording"
)
"""BIDS entities that say nothing of the modality."""

NO_AGENT = _words("no none without false 0 pre nat native na n")
"""Values of the BIDS entity `ce` that say that there was no contrast agent."""

PREFIX_LETTERS = "rwmsn"
"""Letters that programs such as SPM put before the name of an image that they changed: ``rFLAIR``."""

VOCABULARY = frozenset[str]().union(
    SEQUENCES, PULSES, GRADIENT_ECHO, AGENTS, NEGATIONS, NEGATIONS_BEHIND, PLAIN, TIMES, TARGETS,
    REGISTERED, DERIVED, OTHER_SCANS, PARCELLATIONS, BRAIN, BRAIN_ALONE, ANATOMY, TUMOUR, MASKS,
    TECHNIQUE, ("post",),
)  # fmt: skip
"""All words that mean something."""
