"""The Korean of tables, figures and report pages: English text as key, as in gettext."""

# ruff: noqa: RUF001 - punctuation of Korean text

KOREAN = {
    # ---- run times, as the list of labs has them ----
    "{} s": "{}초",
    "{} min": "{}분",
    "under {} min": "{}분 이내",
    "{} min per epoch": "에포크당 {}분",
    "{} s per epoch and seed": "에포크와 시드마다 {}초",
    "{} min per seed": "시드당 {}분",
    "{} s for {} seed": "{}초 (시드 {}개)",
    "{} min for {} seeds": "{}분 (시드 {}개)",
    "{} min for {} seeds of both nets": "{}분 (두 모델, 시드 {}개)",
    "some min for {} seeds": "몇 분 (시드 {}개)",
    "{} seeds {} min per protocol": "시드 {}개로 프로토콜당 {}분",
    "bags {} min": "단어 가방 모델 {}분",
    "{} s for {} seed on {} rows": "{}초 (시드 {}개, {}행)",
    "{} s for {} rows": "{}초 ({}행)",
    # ---- pages ----
    "Contents": "차례",
    "Notes": "알아 둘 점",
    "Figures": "그림",
    "These results come from simulated data.": "시뮬레이션 데이터로 얻은 결과입니다.",
    "finished runs, the newest first": "개의 끝난 실행, 최근 것부터",
    "epoch": "에포크",
    "loss": "손실",
    "train": "학습",
    "recall at precision {}": "정밀도 {}에서의 재현율",
}
