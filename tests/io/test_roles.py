"""Modalities told by names as data sets, scanners and people give them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_tumorseg.io.roles import guess_role, tokens, without_role
from napari_tumorseg.scan import Role

T1, T1C, T2, FLAIR = Role.T1, Role.T1C, Role.T2, Role.FLAIR
BRAIN, TUMOUR, OTHER = Role.BRAIN_MASK, Role.TUMOUR_MASK, Role.OTHER

NAMES = [
    # BraTS 2013 to 2024
    ("VSD.Brain.XX.O.MR_Flair.54512", FLAIR),
    ("VSD.Brain.XX.O.MR_T1.54513", T1),
    ("VSD.Brain.XX.O.MR_T1c.54514", T1C),
    ("VSD.Brain.XX.O.MR_T2.54515", T2),
    ("VSD.Brain_3more.XX.O.OT.54517", TUMOUR),
    ("Flair_subtrMeanDivStd", FLAIR),
    ("T1c_subtrMeanDivStd", T1C),
    ("brainmask", BRAIN),
    ("OTMultiClass", TUMOUR),
    ("Brats17_TCIA_101_1_flair", FLAIR),
    ("Brats18_CBICA_AAB_1_t1", T1),
    ("BraTS19_2013_0_1_t1ce", T1C),
    ("BraTS20_Training_001_t2", T2),
    ("BraTS20_Training_001_seg", TUMOUR),
    ("BraTS2021_00000_t1ce", T1C),
    ("BraTS-GLI-00001-000-t1n", T1),
    ("BraTS-GLI-00001-000-t1c", T1C),
    ("BraTS-GLI-00001-000-t2w", T2),
    ("BraTS-GLI-00001-000-t2f", FLAIR),
    ("BraTS-GLI-00001-000-seg", TUMOUR),
    ("seg-BraTS23_1_mapped", TUMOUR),
    ("OtherEXampleFromTCIA_fla_bet", FLAIR),
    ("TCGA-DU-7294_t1c_bet", T1C),
    ("MRHR_T1_AX_POST_GAD_OtherEXampleTCIA_TCGA-FG-6692_Si_MRHR_T1_AX_POST_GAD_SE_13_se2d1r_t1c", T1C),
    ("T1_AX_OtherEXampleTCIA_TCGA-FG-6692_Si_TCGA-FG-6692_T1_AX_SE_10_se2d1_t1", T1),
    ("MRHR_FLAIR_AX_OtherEXampleTCIA_TCGA-FG-6692_MRHR_FLAIR_AX_SE_IR_5_tir2d1_21_fla", FLAIR),
    # other data sets
    ("UCSF-PDGM-0004_T1", T1),
    ("UCSF-PDGM-0004_T1c_bias", T1C),
    ("UCSF-PDGM-0004_FLAIR", FLAIR),
    ("UCSF-PDGM-0004_T2_bias", T2),
    ("UCSF-PDGM-0004_ADC", OTHER),
    ("UCSF-PDGM-0004_tumor_segmentation", TUMOUR),
    ("UCSF-PDGM-0004_brain_segmentation", BRAIN),
    ("UCSF-PDGM-0004_brain_parenchyma_segmentation", BRAIN),
    ("UPENN-GBM-00001_11_T1GD", T1C),
    ("UPENN-GBM-00001_11_segm", TUMOUR),
    ("IXI002-Guys-0828-T1", T1),
    ("IXI002-Guys-0828-T2", T2),
    ("IXI002-Guys-0828-MRA", OTHER),
    ("sub-01_T1w", T1),
    ("sub-01_T2w", T2),
    ("sub-01_FLAIR", FLAIR),
    ("sub-01_ce-gadolinium_T1w", T1C),
    ("sub-01_space-T1w_FLAIR", FLAIR),
    ("sub-01_space-T1w_desc-brain_mask", BRAIN),
    ("sub-01_T1w_dseg", TUMOUR),
    # what people and scanners call them
    ("FLAIR", FLAIR),
    ("T1KM", T1C),
    ("T1 mit KM", T1C),
    ("t1_nativ", T1),
    ("t1_post", T1C),
    ("T1 C+", T1C),
    ("T1-Gd", T1C),
    ("GdT1", T1C),
    ("AX_T1_POST_contrast", T1C),
    ("T1_pre_contrast", T1),
    ("pre-contrast", T1),
    ("post-contrast", T1C),
    ("T1_without_contrast", T1),
    ("T1_non-contrast", T1),
    ("pre", T1),
    ("post", T1C),
    ("t2_tirm_tra_dark-fluid", FLAIR),
    ("T2_FLAIR", FLAIR),
    ("AX_T1_FLAIR", T1),
    ("AX_T1_FLAIR_POST", T1C),
    ("FLAIR_post_GAD", FLAIR),
    ("FLAIR_in_T1", FLAIR),
    ("T1_to_FLAIR", T1),
    ("ADC_to_T1", OTHER),
    ("t1_fl2d_tra", T1),
    ("t1_fl_tra", T1),
    ("fl", FLAIR),
    ("MPRAGE", T1),
    ("MPRAGE_gd", T1C),
    ("t1c_mprage", T1C),
    ("t2_star", OTHER),
    ("T1_bet_mask", BRAIN),
    ("T1_brain_mask", BRAIN),
    ("T1_brainseg", BRAIN),
    ("Brainmask2", BRAIN),
    ("brain", OTHER),
    ("T1_brain", T1),
    ("seg_flair", TUMOUR),
    ("flair_seg", TUMOUR),
    ("FLAIR_tumour", TUMOUR),
    ("MSD_BRATS_001_label", TUMOUR),
    ("lesion", TUMOUR),
    ("scan", OTHER),
    ("", OTHER),
    # patients whose names or dates say nothing about the modality
    ("Flairty", OTHER),
    ("Flairty_t1c", T1C),
    ("Postman", OTHER),
    ("post-op", OTHER),
    ("post-op_T1", T1),
    ("pre-op_FLAIR", FLAIR),
    ("FLAIR_pre-op", FLAIR),
    ("T1_postoperative", T1),
    ("pre_treatment_T2", T2),
    ("Labelle_T1", T1),
]


@pytest.mark.parametrize(("name", "role"), NAMES, ids=[name or "-" for name, _ in NAMES])
def test_names(name: str, role: Role) -> None:
    assert guess_role(name) is role


@pytest.mark.parametrize(
    ("name", "role"),
    [("Tumor_01_flair", FLAIR), ("mask-free_t1c", T1C), ("seg", OTHER), ("brainmask", OTHER)],
)
def test_names_of_what_is_no_mask(name: str, role: Role) -> None:
    assert guess_role(name, masks=False) is role


def test_words() -> None:
    assert tokens("T1c_subtrMeanDivStd") == ["t1c", "subtr", "mean", "div", "std"]
    assert tokens("Müller FLAIR (2).nii") == ["m", "ller", "flair", "2", "nii"]


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("BraTS-GLI-00001-000-t1n", "BraTS-GLI-00001-000"),
        ("BraTS20_Training_001_seg", "BraTS20_Training_001"),
        ("sub-01_ce-gadolinium_T1w", "sub-01"),
        ("P01_post-op_FLAIR", "P01_post-op"),
        ("P01_pre-op_FLAIR", "P01_pre-op"),
        ("UCSF-PDGM-0004_T1c_bias", "UCSF-PDGM-0004_bias"),
        ("T1c_subtrMeanDivStd", "subtrMeanDivStd"),
        ("FLAIR", ""),
    ],
)
def test_what_files_of_a_case_have_in_common(name: str, left: str) -> None:
    assert without_role(name) == left


@given(st.text(max_size=60))
def test_any_text_has_a_role(name: str) -> None:
    assert isinstance(guess_role(name), Role)
    assert guess_role(name, masks=False) not in (BRAIN, TUMOUR)
    without_role(name)
