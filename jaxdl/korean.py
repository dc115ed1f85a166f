"""The Korean of tables, figures and report pages: English text as key, as in gettext."""

KOREAN = {
    "epoch": "에포크",
    "loss": "손실",
    "train": "학습",
    "recall at precision {}": "정밀도 {}에서의 재현율",
}
