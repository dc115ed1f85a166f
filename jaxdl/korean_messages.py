"""The Korean of what a command says in one line: mistakes, warnings, progress.

The English message is the key; "{=}" stands for anything and is kept, "{}" for a part that is told
in Korean too. Translations may place the parts elsewhere ("{1} ... {0}"). Where a message begins
with a place (a file, a row, a column) and a colon, the key begins behind it.
"""

MESSAGES = {
    # ---- said while a lab runs ----
    "{=}: continuing in epoch {=} of {=}": "{0}: 에포크 {1}/{2}부터 이어서 학습",
    "{=}: epoch {=}, loss train {=}, valid {=}, {=} examples/s": "{0}: 에포크 {1}, 손실 학습 "
    "{2}, 검증 {3}, 초당 {4}개",
    "{=}: epoch {=}, loss train {=}, {=} examples/s": "{0}: 에포크 {1}, 손실 학습 {2}, 초당 {3}개",
    "{=}: epoch {=}, loss {=}, {=} examples/s": "{0}: 에포크 {1}, 손실 {2}, 초당 {3}개",
    "{=}: finished before, restored from {=}": "{0}: 이미 끝난 학습을 {1}에서 불러왔습니다",
    "{=}: {=} s of training for each seed, without compilation": "{0}: 시드마다 학습 {1}초 "
    "(컴파일 제외)",
    "{=} compiled in {=} s": "{0} 컴파일 {1}초",
    "{=} {=} loss train {=}, valid {=}": "{0} {1} 손실 학습 {2}, 검증 {3}",
    "{=} {=} loss train {=}": "{0} {1} 손실 학습 {2}",
    "stopping: saving the state (again to stop at once)": "멈추는 중: 상태를 저장합니다 (한 번 "
    "더 누르면 바로 멈춤)",
    "stopped; state saved at step {=}. The same command continues.": "멈췄습니다. {}단계까지 "
    "저장했고, 같은 명령으로 이어집니다.",
    "stopped; finished fits are kept. The same command continues.": "멈췄습니다. 끝난 학습은 "
    "남아 있고, 같은 명령으로 이어집니다.",
    "the overview of all runs was not written: {}": "모든 실행을 보여 주는 쪽을 쓰지 못했습니다: "
    "{}",
    "series: {}": "시계열: {}",
    "series: left out, since it does not vary: {=}": "시계열: 값이 변하지 않아 뺀 열: {}",
    "rows are ordered by {=}, the only date column (--split random: are not)": "행은 하나뿐인 "
    "날짜 열 {}의 순서입니다 (--split random이면 순서 없음)",
    "evaluated {=}: identical to its results.json; nothing was trained": "{} 평가: "
    "results.json과 똑같습니다. 학습한 것은 없습니다",
    "evaluated {=} on another machine ({=}) than it was made on ({=}): equal to its results.json "
    "within {=} of each number; nothing was trained": "{0} 평가: 만든 컴퓨터({2})와 다른 "
    "컴퓨터({1})에서 숫자마다 {3} 이내로 results.json과 같습니다. 학습한 것은 없습니다",
    "nothing differs: options, data, machine and every number of every table": "다른 것이 "
    "없습니다: 옵션, 데이터, 컴퓨터, 모든 표의 모든 숫자",
    "runs of {=} judge a series: {=}": "{0} 실행은 시계열을 판단합니다: {1}",
    "runs of {=} score the rows of a table: {=}": "{0} 실행은 표의 행에 점수를 매깁니다: {1}",
    "{=} is a run of {=}, which has nothing to predict, unlike {=}": "{0}: {1}의 실행이라 예측할 "
    "것이 없습니다. 예측하는 실습: {2}",
    "--csv and --source {=} exclude each other: give one": "--csv와 --source {}은 함께 쓸 수 "
    "없습니다. 하나만 쓰세요",
    # ---- the line that names the data ----
    "data: {}, real ({}), sha256 {=}": "데이터: {0}, 실제 ({1}), sha256 {2}",
    "data: {}, local mirror ({}), sha256 {=}": "데이터: {0}, 내 사본 ({1}), sha256 {2}",
    "data: {}, simulated twin ({}), sha256 {=}": "데이터: {0}, 모의 ({1}), sha256 {2}",
    "data: {}, simulated ({}), sha256 {=}": "데이터: {0}, 모의 ({1}), sha256 {2}",
    "data: {=}, user file ({}), sha256 {=}": "데이터: {0}, 내 파일 ({1}), sha256 {2}",
    "data: {}, TensorFlow Datasets ({}), sha256 {=}": "데이터: {0}, TensorFlow Datasets ({1}), "
    "sha256 {2}",
    "{}, real ({=})": "{0}, 실제 ({1})",
    "{}, local mirror ({=})": "{0}, 내 사본 ({1})",
    "{}, simulated twin ({=})": "{0}, 모의 ({1})",
    "{=}, user file ({=})": "{0}, 내 파일 ({1})",
    "NSMC reviews": "NSMC 영화평",
    "IMDB reviews": "IMDB 영화평",
    "credit-card fraud": "신용카드 거래",
    "shop orders": "쇼핑몰 주문",
    "account stream": "계좌 거래",
    "points in space": "공간의 점",
    "digits": "숫자 그림",
    "iris": "붓꽃",
    "shapes": "도형",
    "breast cancer Wisconsin": "위스콘신 유방암",
    "synthetic tasks": "만든 과제",
    "{=} + {=} reviews, {=} + {=} empty": "영화평 {0} + {1}편, 그중 빈 것 {2} + {3}편",
    "{=} test reviews also in train": "테스트 영화평 {}편은 학습에도 있음",
    "{=} + {=} reviews": "영화평 {0} + {1}편",
    "words ranked by Keras": "단어 순위는 Keras",
    "words ranked by training counts": "단어 순위는 학습 횟수",
    "{=} + {=} images of {=}, {=} classes": "이미지 {0} + {1}장 ({2}), 클래스 {3}개",
    "{=} + {=} images of {=}": "이미지 {0} + {1}장 ({2})",
    "{=} + {=} texts, {=}": "글 {0} + {1}편, {2}",
    "heart beats": "심박",
    "{=} beats of {=} points, {=} shapes": "심박 {0}개, 심박마다 {1} 지점, 모양 {2}가지",
    "{=}, {=} rows, {=} frauds": "{0}, {1}행, 사기 {2}건",
    "{=}, {=} rows, {=} frauds, verified by SHA256SUMS": "{0}, {1}행, 사기 {2}건, SHA256SUMS로 "
    "확인",
    "{=} rows, {=} frauds": "{0}행, 사기 {1}건",
    "{=} rows, {=} columns, {}": "{0}행, 열 {1}개, {2}",
    "{=} x {=} pixels, {}": "{0} x {1} 픽셀, {2}",
    "{=} + {=} images": "이미지 {0} + {1}장",
    "{=} rows, {=}, every {}": "{0}행, {1}, 간격 {2}",
    "{=} orders, {=} of them fraud": "주문 {0}건, 그중 사기 {1}건",
    "{=} payments, {=} of them fraud, {=} patterns": "거래 {0}건, 그중 사기 {1}건, 유형 {2}가지",
    "{=} series, {=} rows, {=} windows": "시계열 {0}개, {1}행, 구간 {2}개",
    "{=} rows, {=} features, bundled with scikit-learn": "{0}행, 특징 {1}개, scikit-learn에 들어 "
    "있음",
    "{=} images bundled with scikit-learn": "이미지 {}장, scikit-learn에 들어 있음",
    "{=} flowers bundled with scikit-learn": "꽃 {}송이, scikit-learn에 들어 있음",
    "bundled with scikit-learn": "scikit-learn에 들어 있음",
    "your file": "내 파일",
    "five sets of points in the plane": "평면 위의 점 다섯 무리",
    "four shapes in the plane": "평면 위의 도형 네 개",
    "the lecture's formula, seed 42": "강의의 식, 시드 42",
    "seven tasks made for the seven graphs": "그래프 일곱 개를 위한 과제 일곱 개",
    "the lecture has no data for them": "강의에는 데이터가 없음",
    "no local {=}, and {=} is too slow": "내 폴더에 {0} 파일이 없고, {1}: 너무 느림",
    "no local {=}, and {=} answers {=}": "내 폴더에 {0} 파일이 없고, {1}의 답: {2}",
    "no local {=}, and {=} does not answer within {=} s": "내 폴더에 {0} 파일이 없고, {1}: {2}초 "
    "안에 답이 없음",
    "no local {=}, and {=} cannot be read ({=})": "내 폴더에 {0} 파일이 없고, {1}: 읽을 수 없음 "
    "({2})",
    "{=} is too slow": "{}: 너무 느림",
    "{=} gave another file (sha256 {=})": "{0}: 다른 파일을 줌 (sha256 {1})",
    "{=} answers {=}": "{0}의 답: {1}",
    "{=} does not answer within {=} s": "{0}: {1}초 안에 답이 없음",
    "{=} cannot be read ({=})": "{0}: 읽을 수 없음 ({1})",
    # ---- commands ----
    "there is no lab {=}; did you mean experiments/{=}.py?": "{0} 실습은 없습니다. "
    "experiments/{1}.py인가요?",
    "there is no lab {=}; `python run.py` lists them": "{} 실습은 없습니다. `python run.py`가 "
    "목록을 보여 줍니다",
    "{=} is not a lab of this project; put it into {=}": "{0}: 이 프로젝트의 실습이 아닙니다. "
    "{1}에 넣으세요",
    "jaxdl is installed here without its labs: get a checkout of the project and run `python "
    "run.py` in it (python -m jaxdl.score and jaxdl.live need none)": "여기에는 실습 없이 "
    "jaxdl만 설치되어 있습니다. 프로젝트 폴더를 받아 그 안에서 `python run.py`를 실행하세요 "
    "(python -m jaxdl.score와 jaxdl.live에는 필요 없음)",
    "--language {=}: choose {=}": "--language {0}: {1} 가운데 고르세요",
    "--eval needs a run folder": "--eval 뒤에 실행 폴더를 쓰세요",
    "name a lab before the options; `python run.py` lists them": "옵션 앞에 실습 이름을 쓰세요. "
    "`python run.py`가 목록을 보여 줍니다",
    "--record {=}: cannot be written": "--record {}: 쓸 수 없습니다",
    "--index takes one folder of runs": "--index 뒤에는 실행들이 있는 폴더 하나를 씁니다",
    "--compare takes two run folders": "--compare 뒤에는 실행 폴더 두 개를 씁니다",
    "--preset {=}: this lab has {=}": "--preset {0}: 이 실습에는 {1}만 있습니다",
    "{=} needs at least one value": "{}: 값이 하나는 있어야 합니다",
    "{=}: must be at least {=}": "{0}: {1} 이상이어야 합니다",
    "unknown option {=}; did you mean {=}?": "모르는 옵션 {0}. {1}인가요?",
    "unknown option {=}; --help lists the options": "모르는 옵션 {}. --help가 옵션을 보여 줍니다",
    "Error parsing {=}: invalid literal for int() with base 10: {=}": "{0}: 정수가 아닙니다: {1}",
    "Error parsing {=}: could not convert string to float: {=}": "{0}: 숫자가 아닙니다: {1}",
    "Missing value for argument {=}. Expected {=} values.": "{0}: 값이 {1}개 필요합니다",
    "invalid choice {=} for argument {=}. Expected one of ({=}).": "{1}: {0} 값은 없습니다. 고를 "
    "수 있는 값: {2}",
    "the options could not be read; see --help": "옵션을 읽을 수 없습니다. --help를 보세요",
    "--predict takes a run folder and what to judge: --predict RUN INPUT...": "--predict 뒤에는 "
    "실행 폴더와 판단할 것을 씁니다: --predict RUN 입력...",
    "{=} is not finished: repeat its command until it is": "{}: 아직 끝나지 않은 실행입니다. 그 "
    "명령을 끝까지 다시 실행하세요",
    "{=} needs a folder": "{} 뒤에 폴더를 쓰세요",
    "{=}: nothing is written into the run folder": "{}: 실행 폴더 안에는 아무것도 쓰지 않습니다",
    "{=} is not what {=} learnt from (sha256 {=}): restore it, or train anew": "{0}: {1} 실행이 "
    "배운 파일(sha256 {2})과 다릅니다. 되돌려 놓거나 새로 학습하세요",
    "{=} is a run of {=}, not of {=}": "{0}: {2}가 아니라 {1}의 실행입니다",
    "--eval takes everything from {=}; leave --{=} out": "--eval은 모든 것을 {0}에서 가져옵니다. "
    "--{1} 옵션을 빼세요",
    "--eval takes the options from {=}/config.json ({=} is {=} there); leave --{=} out": ""
    "--eval은 옵션을 {0}/config.json에서 가져옵니다 (거기서 {1}: {2}). --{3} 옵션을 빼세요",
    # ---- run folders and files ----
    "{=} is damaged: it holds no JSON object": "{}: 손상되었습니다 (JSON 객체가 없음)",
    "{=} is damaged: it is no JSON ({=})": "{0}: 손상되었습니다 (JSON이 아님: {1})",
    "{=} is damaged: it has no proper {=}": "{0}: 손상되었습니다 ({1} 항목이 올바르지 않음)",
    "{=} cannot be written ({})": "{0}: 쓸 수 없습니다 ({1})",
    "{=} cannot be read ({})": "{0}: 읽을 수 없습니다 ({1})",
    "{=} cannot be read: {}": "{0}: 읽을 수 없습니다: {1}",
    "{=} does not exist; is {=} a run folder?": "{0} 파일이 없습니다. {1}: 실행 폴더가 맞나요?",
    "evaluated {=}: the tables DIFFER from its results.json ({=}: {=} there, {=} here)": "{0} "
    "평가: 표가 results.json과 다릅니다 ({1}: 거기 {2}, 여기 {3})",
    "{=} holds a run with other options ({=}); use --fresh to replace it, or another --workdir": ""
    "{0}: 옵션이 다른 실행이 있습니다 ({1}). 바꾸려면 --fresh, 아니면 다른 --workdir를 쓰세요",
    "cannot write to {=}: {}": "{0}에 쓸 수 없습니다: {1}",
    "{=} is in use by process {=}": "{0}: 프로세스 {1}이 쓰는 중입니다",
    "cannot empty {=}: {}": "{0} 폴더를 비울 수 없습니다: {1}",
    "{=} is not empty and not a run folder (it holds {=}); choose another --workdir": "{0}: 비어 "
    "있지 않고 실행 폴더도 아닙니다 ({1} 파일이 있음). 다른 --workdir를 고르세요",
    "{}; use --fresh to replace the run": "{} --fresh로 실행을 바꿀 수 있습니다",
    "{=} is not a folder of runs": "{}: 실행들이 있는 폴더가 아닙니다",
    "{=} is not an overview of runs; it stays as it is": "{}: 실행 목록이 아니므로 그대로 둡니다",
    '--tensorboard needs: pip install -e ".[tensorboard]"': "--tensorboard에는 설치가 "
    '필요합니다: pip install -e ".[tensorboard]"',
    "{=} is not empty (it holds {=}); choose another --output": "{0}: 비어 있지 않습니다 ({1} "
    "파일이 있음). 다른 --output을 고르세요",
    "{=} cannot be used for output ({})": "{0}: 결과를 쓸 수 없는 폴더입니다 ({1})",
    "{=} wants {=}'s figure {=}; it drew {=}": "{0}: {1}의 그림 {2}를 찾지만, 그린 것은 {3}입니다",
    "{=} holds no finished run": "{}: 끝난 실행이 없습니다",
    "{=} holds no finished run (no results.json)": "{}: 끝난 실행이 없습니다 (results.json 없음)",
    "{=} has no section of `{=}`": "{0}: `{1}` 명령의 절이 없습니다",
    "{=} has more than {=} MiB": "{0}: {1} MiB보다 큽니다",
    "no row {=} in {=} for {=}": "{1}에 {0} 행이 없습니다 ({2})",
    "an entry of the summary needs {=}, it has {=}": "요약의 항목에는 {0} 항목이 필요한데 {1}만 "
    "있습니다",
    "{=} cannot be read: it has no [[line]]": "{}: 읽을 수 없습니다 ([[line]] 없음)",
    "{=} has no column {=}": "{0}: {1} 열이 없습니다",
    "No such file or directory": "그런 파일이나 폴더가 없음",
    "Permission denied": "권한이 없음",
    "No space left on device": "디스크에 남은 공간이 없음",
    "Is a directory": "폴더임",
    "Not a directory": "폴더가 아님",
    "Read-only file system": "읽기만 할 수 있는 디스크",
    "File name too long": "이름이 너무 긺",
    # ---- training ----
    "{} of seed {=} is not finite {}; last good checkpoint: {}. Try a smaller learning rate or "
    "clip the gradient; or the data hold NaN, or a label outside its classes.": "시드 {1}의 {0}: "
    "유한한 값이 아닙니다 ({2}). 마지막으로 온전한 체크포인트: {3}. 학습률을 줄이거나 기울기를 "
    "잘라 보세요. 데이터에 NaN이나 클래스 밖의 라벨이 있을 수도 있습니다.",
    "in step {=}": "{}단계",
    "after step {=}": "{}단계 뒤",
    "in epoch {=}": "에포크 {}",
    "in any epoch": "모든 에포크",
    "step {=}": "{}단계",
    "none": "없음",
    "batch size {=} does not divide by {=} devices": "배치 크기 {0}: 장치 {1}개로 나누어지지 "
    "않습니다",
    "batch size {=} does not divide by {=} parts": "배치 크기 {0}: 조각 {1}개로 나누어지지 "
    "않습니다",
    "there is no {=} to monitor; there are {=}": "지켜볼 {0} 값이 없습니다. 있는 것: {1}",
    "the run is unfinished; continue it before you evaluate it": "끝나지 않은 실행입니다. "
    "평가하기 전에 이어서 끝내세요",
    "there is no checkpoint to evaluate; run the lab without --eval first": "평가할 체크포인트가 "
    "없습니다. 먼저 --eval 없이 실습을 실행하세요",
    "{=}: {=} epochs of batches of {=} cannot be trained": "{0}: 배치 {2}, 에포크 {1}로는 학습할 "
    "수 없습니다",
    "--device {=}: use one of cpu, gpu, tpu, or cpu:N for N simulated": "--device {}: cpu, gpu, "
    "tpu, 또는 cpu:N (가상 장치 N개) 가운데 하나를 쓰세요",
    "--device {=} is not available: {=}": "--device {0}: 쓸 수 없습니다: {1}",
    "--device {=} is not available: JAX sees no GPU; is its plug-in there (pip install -e "
    "'.[cuda12]')?": "--device {}: 쓸 수 없습니다. JAX가 GPU를 찾지 못합니다. 플러그인을 "
    "설치했나요 (pip install -e '.[cuda12]')?",
    "--multihost found no cluster: {=}": "--multihost: 클러스터를 찾지 못했습니다: {}",
    "train: {=} rows in {=} parts: nothing to train on": "학습: {0}행이 조각 {1}개라 학습할 것이 "
    "없습니다",
    "{=} parts cannot be shared by {=} processes": "조각 {0}개를 프로세스 {1}개가 나눌 수 없습니다",
    "rows cannot be streamed here: the devices of a process lie apart": "여기서는 행을 흘려 읽을 "
    "수 없습니다: 한 프로세스의 장치가 떨어져 있습니다",
    "{=}: there is no array; give at least one, {'x': rows} say": "{}: 배열이 없습니다. {{'x': "
    "행}}처럼 하나는 주세요",
    "{=}: the arrays differ in their number of rows: {=}": "{0}: 배열마다 행 수가 다릅니다: {1}",
    "{=}: there are no rows; leave the call out or give at least one row": "{}: 행이 없습니다. "
    "부르지 않거나 한 행은 주세요",
    "{=}: {=} is what the engine calls its own; rename the array": "{0}: {1}은 엔진이 쓰는 "
    "이름입니다. 배열 이름을 바꾸세요",
    "{=}: {=} is a single number; an array needs a row an example": "{0}: {1}은 숫자 하나입니다. "
    "배열에는 예마다 한 행이 있어야 합니다",
    "{=}: {=} holds {=}, not numbers; convert it with .astype first": "{0}: {1}에는 숫자가 "
    "아니라 {2} 값이 있습니다. 먼저 .astype으로 바꾸세요",
    "{=} holds {=}, which does not fit into 32 bits": "{0}: {1}은 32비트에 들어가지 않습니다",
    "checkpoint {=} has format {=}; this program reads {=}": "체크포인트 {0}의 형식은 {1}입니다. "
    "이 프로그램은 {2} 형식을 읽습니다",
    "checkpoint {=} is of another model: {=}": "체크포인트 {0}: 다른 모델의 것입니다: {1}",
    "every checkpoint in {=} is damaged (steps {=}); train again with --fresh (and without "
    "--eval)": "{0}: 모든 체크포인트가 손상되었습니다 ({1}단계). --fresh로 다시 학습하세요 "
    "(--eval 없이)",
    "checkpoint {=} was made with another {}; use --fresh to train again, or another --workdir": ""
    "체크포인트 {0}: {1}이 다른 실행에서 만든 것입니다. --fresh로 다시 학습하거나 다른 "
    "--workdir를 쓰세요",
    "cannot write a checkpoint to {=} ({}); what was saved before is intact: the same command "
    "continues from there": "{0}에 체크포인트를 쓸 수 없습니다 ({1}). 앞서 저장한 것은 온전하니 "
    "같은 명령으로 거기서 이어집니다",
    "WARNING: checkpoint {=} is damaged ({=})": "경고: 체크포인트 {0}이 손상되었습니다 ({1})",
    # ---- data sets ----
    "--source real: {=} ({=}) are made by a formula, there are no real ones": "--source real: "
    "{0} ({1})은 식으로 만든 데이터라 실제 데이터가 없습니다",
    "{=} is {=}, which is not a folder: create it or unset it": "{0}의 값 {1}: 폴더가 아닙니다. "
    "폴더를 만들거나 값을 지우세요",
    "no local {=}, and {}; put {=} at {=} in --data-dir, or use --source simulated": "내 폴더에 "
    "{0} 파일이 없습니다. {1}. {2} 파일을 --data-dir의 {3}에 두거나 --source simulated를 쓰세요",
    "no local {=}, and {}": "내 폴더에 {0} 파일이 없고, {1}",
    "{}; put {=} at {=}, or use --source simulated": "{0}. {1} 파일을 {2}에 두거나 --source "
    "simulated를 쓰세요",
    "has sha256 {=}, expected {=}: restore or remove it, or list it in a SHA256SUMS beside it "
    "(sha256sum * > SHA256SUMS) if it is meant to differ": "sha256이 {0}입니다 (있어야 할 값 "
    "{1}). 되돌리거나 지우세요. 일부러 바꾼 파일이면 옆의 SHA256SUMS에 적으세요 (sha256sum * > "
    "SHA256SUMS)",
    "is not '<sha256> <file name>'": "'<sha256> <파일 이름>' 형식이 아닙니다",
    "no prepared TFDS folder {=}: {=}": "준비된 TFDS 폴더 {0}이 없습니다: {1}",
    "TFDS cannot read {=} of split {=} as array_record ({=})": "TFDS가 분할 {1}의 {0}을 "
    "array_record로 읽지 못합니다 ({2})",
    "cannot be read ({})": "읽을 수 없습니다 ({})",
    "cannot be read: {}": "읽을 수 없습니다: {}",
    "has no {=}": "{} 없음",
    "{=}: label {=} of image {=} is no class": "{0}: 이미지 {2}의 라벨 {1}은 클래스가 아닙니다",
    "cannot be read as a tar.gz of images ({=})": "이미지의 tar.gz로 읽을 수 없습니다 ({})",
    "cannot be read as a tar.gz of reviews ({=})": "영화평의 tar.gz로 읽을 수 없습니다 ({})",
    "cannot be read as a gzipped IDX file ({=})": "압축한 IDX 파일로 읽을 수 없습니다 ({})",
    "holds more than the images would": "이미지보다 많은 것이 들어 있습니다",
    "holds more than the reviews would": "영화평보다 많은 것이 들어 있습니다",
    "{=} has {=} bytes, not a multiple of {=}": "{0}: {1}바이트는 {2}의 배수가 아닙니다",
    "{=} has {=} bytes": "{0}: {1}바이트",
    "is no word index ({=})": "단어 번호표가 아닙니다 ({})",
    "has {=} {} reviews, {=} positive, not {=} and half": "{1} 영화평 {0}편, 긍정 {2}편: {3}편과 "
    "그 절반이어야 합니다",
    "num_words must be more than {=}, not {=}": "num_words는 {0}보다 커야 합니다 (지금 {1})",
    "the twin needs at least 60 training images, not {=}": "모의 데이터의 학습 이미지는 60장 "
    "이상이어야 합니다 (지금 {})",
    "has the label {=}": "라벨 {}이 있습니다",
    "is no IDX file of unsigned bytes with {=} axes": "축이 {}개인 IDX 파일(부호 없는 바이트)이 "
    "아닙니다",
    "holds more bytes than its header says": "머리글에 적힌 것보다 바이트가 많습니다",
    "holds fewer bytes than its header says": "머리글에 적힌 것보다 바이트가 적습니다",
    "has {=} entries, not {=}": "항목이 {0}개입니다 ({1}개여야 함)",
    "has {=} labels, but there are {=} images": "라벨은 {0}개인데 이미지는 {1}장입니다",
    "has {=} images of {=} {=}, not (28, 28, 1) uint8": "이미지 {0}장이 {1} {2}입니다 ((28, 28, "
    "1) uint8이어야 함)",
    "NAB is not in TensorFlow Datasets; use --source auto, real or simulated": "NAB는 TensorFlow "
    "Datasets에 없습니다. --source auto, real, simulated 가운데 쓰세요",
    "TensorFlow Datasets has no NSMC: use --source auto, real or simulated": "NSMC는 TensorFlow "
    "Datasets에 없습니다. --source auto, real, simulated 가운데 쓰세요",
    "NAB has no series {=}; did you mean {=}?": "NAB에 시계열 {0}이 없습니다. {1}인가요?",
    "NAB has no series {=}; {=}": "NAB에 시계열 {0}이 없습니다. {1}",
    "{}; {=} should hold it, as a clone of {=} does; --source simulated takes the simulated "
    "twin": "{0}. {1}에 있어야 합니다 ({2}을 복제하면 있음). --source simulated는 모의 데이터를 "
    "씁니다",
    "has no list for {=}.csv": "{}.csv의 목록이 없습니다",
    "no bytes of NAB {=} ({=}), and it has no twin; twins: {=}": "NAB {0} 파일이 없고 ({1}) 모의 "
    "데이터도 없습니다. 모의 데이터가 있는 것: {2}",
    "is not JSON ({=})": "JSON이 아닙니다 ({})",
    "is not a series of NAB ({=})": "NAB의 시계열이 아닙니다 ({})",
    "has {=} bytes, more than {=}": "{0}바이트입니다 ({1}바이트까지)",
    "has {=} lines, more than {=}": "{0}줄입니다 ({1}줄까지)",
    "is not {=} between tabs": "탭으로 나눈 {}이 아닙니다",
    "needs positive and negative reviews": "긍정과 부정 영화평이 모두 있어야 합니다",
    "is not UTF-8 (byte {=})": "UTF-8이 아닙니다 ({}번째 바이트)",
    "is {=}, not 0 or 1": "{}입니다 (0이나 1이어야 함)",
    "has {=} fields between tabs, not {=}": "탭으로 나눈 칸이 {0}개입니다 ({1}개여야 함)",
    "has {=} letters, more than {=}": "{0}글자입니다 ({1}글자까지)",
    "the {} split leaves a part of {=} rows without normal rows or without fraud: give a file "
    "with more rows": "{0} 분할의 한 부분({1}행)에 정상 행이나 사기가 없습니다. 행이 더 많은 "
    "파일을 주세요",
    "the {} split leaves {=} normal rows to learn from and {=} to test: {=} and 1 are needed, "
    "give a file with more": "{0} 분할에서 배울 정상 행이 {1}개, 테스트할 정상 행이 "
    "{2}개입니다. {3}개와 1개는 있어야 하니 정상 행이 더 많은 파일을 주세요",
    "{=} of {=} rows cannot be held out: one side is empty": "{1}행 가운데 {0}행을 떼어 둘 수 "
    "없습니다: 한쪽이 비게 됩니다",
    "{=} row(s) cannot be split by time: one side is empty": "{}행은 시간으로 나눌 수 없습니다: "
    "한쪽이 비게 됩니다",
    "{=} row(s) cannot be split in two: one side is empty": "{}행은 둘로 나눌 수 없습니다: "
    "한쪽이 비게 됩니다",
    "a share of {=} of {=} groups leaves a side without rows": "묶음 {1}개에서 비율 {0}이면 "
    "한쪽에 행이 없습니다",
    "a share of {=} of {=} rows of a class leaves a side bare": "한 클래스 {1}행에서 비율 "
    "{0}이면 한쪽이 비게 됩니다",
    "{=} rows stand in more than one part of the split (row {=}, say): split first, then "
    "resample the training part only": "{0}행이 분할의 여러 부분에 있습니다 (예: {1}행). 먼저 "
    "나누고 학습 부분만 다시 뽑으세요",
    "{=} of {=} training reviews cannot be set aside for validation: one side is empty": "학습 "
    "영화평 {1}편 가운데 {0}편을 검증용으로 떼어 둘 수 없습니다: 한쪽이 비게 됩니다",
    "no word or n-gram occurs twice in the training reviews": "학습 영화평에 두 번 나오는 단어나 "
    "n-그램이 없습니다",
    "has {=}, not {=} and {=}: use --csv for another file": "{0}입니다 ({1}, {2}여야 함). 다른 "
    "파일은 --csv로 주세요",
    "prevalence must lie between 0 and 1, not {=}": "사기의 비율은 0과 1 사이여야 합니다 (지금 {})",
    "{=} frauds and {=} normal rows: weights need some of both": "사기 {0}건과 정상 {1}행: "
    "가중하려면 둘 다 있어야 합니다",
    "a twin needs 1,000 rows or more, not {=}": "모의 데이터는 1,000행 이상이어야 합니다 (지금 {})",
    "looks like milliseconds: give seconds since the first transaction": "밀리초처럼 보입니다. "
    "첫 거래부터의 초로 주세요",
    "is damaged: SHA256SUMS beside it lists {=}": "손상되었습니다. 옆의 SHA256SUMS에 적힌 값: {}",
    "holds a value that is not finite, a negative Time or Amount, or a bad Class": "유한하지 "
    "않은 값, 음수인 Time이나 Amount, 또는 잘못된 Class가 있습니다",
    "is empty": "비어 있습니다",
    "byte {=} is no part of a number: save the file as plain UTF-8": "바이트 {}: 숫자의 일부가 "
    "아닙니다. UTF-8로 저장하세요",
    "has more than {=} bytes in one line": "한 줄이 {}바이트보다 깁니다",
    "is not one of Time, V1..V28, Amount, Class: remove it": "Time, V1..V28, Amount, Class에 "
    "없는 열입니다. 지우세요",
    "cannot be read as a table of numbers": "숫자 표로 읽을 수 없습니다",
    "has {=} cells instead of {=}": "칸이 {0}개입니다 ({1}개여야 함)",
    "reviews without a label are read from the archive: use --source auto": "라벨 없는 영화평은 "
    "원본 파일에서 읽습니다. --source auto를 쓰세요",
    "has {=} rows without a blank, at least {=} are needed": "빈칸 없는 행이 {0}개입니다. "
    "{1}개는 있어야 합니다",
    "has {=} rows without a blank, at least {=} are needed; blanks are in {=}": "빈칸 없는 행이 "
    "{0}개입니다. {1}개는 있어야 합니다. 빈칸이 있는 열: {2}",
    "lacks {=} of the {=} columns that were learnt: {=}; it has {=}": "배운 열 {1}개 가운데 "
    "{0}개가 없습니다: {2}. 있는 열: {3}",
    "{=} is no number (and {=} more)": "{0}: 숫자가 아닙니다 (그런 칸이 {1}개 더 있음)",
    "{=} is no number": "{}: 숫자가 아닙니다",
    "holds nothing (and {=} more)": "비어 있습니다 (그런 칸이 {}개 더 있음)",
    "holds nothing": "비어 있습니다",
    # ---- one's own pictures ----
    "--images is the source of the data: leave --source {=} out": "--images가 데이터입니다. "
    "--source {} 옵션을 빼세요",
    "--reviews is the source of the data: leave --source {=} out": "--reviews가 데이터입니다. "
    "--source {} 옵션을 빼세요",
    "--series is the source of the data: leave --source {=} out": "--series가 데이터입니다. "
    "--source {} 옵션을 빼세요",
    "--csv is the source of the data: leave --source {=} out": "--csv가 데이터입니다. --source "
    "{} 옵션을 빼세요",
    "--test-share {=}: must lie between 0 and 1": "--test-share {}: 0과 1 사이여야 합니다",
    "holds {=} folder(s) with pictures, {=} are needed: a sub-folder for each class": "사진이 "
    "있는 폴더가 {0}개입니다. {1}개가 필요합니다: 클래스마다 하위 폴더 하나",
    "{=} of {=} files are no pictures that can be read, more than {=} ({=})": "파일 {1}개 가운데 "
    "{0}개가 읽을 수 있는 사진이 아닙니다 ({2} 초과; {3})",
    "holds {=} classes, at most {=}": "클래스가 {0}개입니다 ({1}개까지)",
    "holds more than {=} files": "파일이 {}개보다 많습니다",
    "class {=} has no pictures": "클래스 {}에 사진이 없습니다",
    "does not exist: name pictures or folders of them": "없습니다. 사진이나 사진 폴더를 쓰세요",
    "at most {=} pictures are judged at once": "한 번에 사진 {}장까지 판단합니다",
    "holds no picture that can be read": "읽을 수 있는 사진이 없습니다",
    "does not exist: a folder of pictures is needed": "없습니다. 사진 폴더가 필요합니다",
    "is no folder: name the one that holds the classes": "폴더가 아닙니다. 클래스 폴더들이 있는 "
    "폴더를 쓰세요",
    "holds {=}: either train and test and nothing else, or a folder for each class": "{} 폴더가 "
    "있습니다. train과 test만 두거나, 클래스마다 폴더 하나를 두세요",
    "class {=} has {=} pictures to train on that can be read, at least {=} are needed": "클래스 "
    "{0}의 학습용 사진 가운데 읽을 수 있는 것이 {1}장입니다. {2}장은 있어야 합니다",
    "class {=} has {=} pictures to test on that can be read, at least {=} are needed": "클래스 "
    "{0}의 테스트용 사진 가운데 읽을 수 있는 것이 {1}장입니다. {2}장은 있어야 합니다",
    "class {=} has {=} pictures that can be read, at least {=} are needed": "클래스 {0}에 읽을 "
    "수 있는 사진이 {1}장입니다. {2}장은 있어야 합니다",
    "{=} has too many pixels ({=})": "{0}: 픽셀이 너무 많습니다 ({1})",
    "{=}: a class must stand in train and in test": "{}: 클래스는 train과 test에 모두 있어야 "
    "합니다",
    "{=} has {=} pictures to train on, at least {=} are needed": "{0}: 학습할 사진이 "
    "{1}장입니다. {2}장은 있어야 합니다",
    "{=} has no grey or colour of 8 or 16 bits in a pixel: convert it": "{}: 픽셀이 8비트나 "
    "16비트의 회색 또는 색이 아닙니다. 변환하세요",
    "{=} does not exist: a picture file is needed": "{}: 없습니다. 사진 파일이 필요합니다",
    "{=} is no picture that can be read ({=})": "{0}: 읽을 수 있는 사진이 아닙니다 ({1})",
    "{=} is a broken picture ({=})": "{0}: 깨진 사진입니다 ({1})",
    "{=} has {=} pixels; at most {=} are read: shrink it": "{0}: 픽셀이 {1}개입니다. {2}개까지 "
    "읽으니 줄이세요",
    # ---- one's own texts ----
    "is no text in utf-8 or cp949": "UTF-8이나 CP949 글이 아닙니다",
    "is no text in {=}": "{} 글이 아닙니다",
    "{=} texts: at most {=} are judged at once": "글 {0}편: 한 번에 {1}편까지 판단합니다",
    "{=}... has more than {=} letters": "{0}...: {1}글자보다 깁니다",
    "has {=} rows, at most {=} are read": "{0}행입니다 ({1}행까지 읽음)",
    "which column is the label? say --label (there are: {=})": "어느 열이 라벨인가요? --label로 "
    "알려 주세요 (있는 열: {})",
    "{=}: no such column (there are: {=})": "{0}: 그런 열이 없습니다 (있는 열: {1})",
    "{=} holds no text": "{}: 글이 없습니다",
    "is too large a file of texts": "글 파일이 너무 큽니다",
    "does not exist: give a file of texts, or a text": "없습니다. 글 파일이나 글을 쓰세요",
    "has {=} texts labelled {=}, at least {=} are needed": "라벨이 {1}인 글이 {0}편입니다. "
    "{2}편은 있어야 합니다",
    "has a text of more than {=} letters": "{}글자보다 긴 글이 있습니다",
    "column {=} holds {=} labels ({=}): two are needed, or say --positive": "{0} 열의 라벨이 "
    "{1}개입니다 ({2}). 둘이어야 합니다. 아니면 --positive로 알려 주세요",
    "which of {=} in column {=} is positive? say --positive": "{1} 열의 {0} 가운데 어느 것이 "
    "긍정인가요? --positive로 알려 주세요",
    "--positive {=}: column {=} holds {=}": "--positive {0}: {1} 열에는 {2}만 있습니다",
    # ---- one's own tables and series ----
    "no column is left to learn from: all are constant or identifiers": "배울 열이 없습니다: "
    "모두 값이 하나이거나 식별자입니다",
    "has a header but no rows": "머리글만 있고 행이 없습니다",
    "is empty; the first line must name the columns": "비어 있습니다. 첫 줄에 열 이름이 있어야 "
    "합니다",
    "{=} has a header but no rows": "{}: 머리글만 있고 행이 없습니다",
    "has no columns": "열이 없습니다",
    "has {=} columns; at most {=} are read": "열이 {0}개입니다 ({1}개까지 읽음)",
    "--sheet {=} goes with a workbook (.xlsx)": "--sheet {}: 엑셀 파일(.xlsx)에만 씁니다",
    "{=} does not exist": "{}: 없습니다",
    "sheet {=} is empty; the first row must name the columns": "시트 {}이 비어 있습니다. 첫 행에 "
    "열 이름이 있어야 합니다",
    "column {=} has no name in the header": "{}번째 열에 이름이 없습니다",
    "the name of column {=} is not a printable text of 200 letters": "{}번째 열 이름: "
    "200글자까지의 보이는 글이어야 합니다",
    "the column {=} stands twice in the header": "{} 열이 머리글에 두 번 있습니다",
    "has more than {=} bytes": "{}바이트보다 큽니다",
    "has more than {=} rows": "{}행보다 많습니다",
    "--positive is missing: which of {=} means an anomaly?": "--positive가 없습니다. {} 가운데 "
    "어느 것이 이상인가요?",
    "--positive {=}: the label has the values {=}": "--positive {0}: 라벨의 값은 {1}입니다",
    "{=} is no time (and {=} more); mend it, or order the rows by another column": "{0}: 시각이 "
    "아닙니다 (그런 칸이 {1}개 더 있음). 고치거나 다른 열로 정렬하세요",
    "{=} is no time; mend it, or order the rows by another column": "{}: 시각이 아닙니다. "
    "고치거나 다른 열로 정렬하세요",
    "row {=} has no label (and {=} more)": "{0}행에 라벨이 없습니다 (그런 행이 {1}개 더 있음)",
    "row {=} has no label": "{}행에 라벨이 없습니다",
    "{=} is not a number (and {=} more); mend it, or give --categorical {=} or --ignore {=}": ""
    "{0}: 숫자가 아닙니다 (그런 칸이 {1}개 더 있음). 고치거나 --categorical {2} 또는 --ignore "
    "{3}를 쓰세요",
    "{=} is not a number; mend it, or give --categorical {=} or --ignore {=}": "{0}: 숫자가 "
    "아닙니다. 고치거나 --categorical {1} 또는 --ignore {2}를 쓰세요",
    "column {=} is missing": "{} 열이 없습니다",
    "is no schema of a table ({=})": "표의 스키마가 아닙니다 ({})",
    "{=}: no such column; there are {=}": "{0}: 그런 열이 없습니다. 있는 열: {1}",
    "--time {=}: {=} is neither an ISO date nor a number": "--time {0}: {1}은 ISO 날짜도 숫자도 "
    "아닙니다",
    "no column of time stamps among {=}: name it with --time, and where dates begin with the day "
    "say --day-first": "{} 가운데 시각 열이 없습니다. --time으로 알려 주고, 날짜가 일부터 "
    "시작하면 --day-first를 쓰세요",
    "{=}: there is no such column; did you mean {=}?": "{0}: 그런 열이 없습니다. {1}인가요?",
    "{=}: there is no such column; there are {=}": "{0}: 그런 열이 없습니다. 있는 열: {1}",
    "no column of numbers beside {=} among {=}": "{1} 가운데 {0} 말고는 숫자 열이 없습니다",
    "has {=} columns of numbers: name some with --value": "숫자 열이 {}개입니다. --value로 "
    "고르세요",
    "there is no time stamp": "시각이 없습니다",
    "{=} is not a finite number (and {=} more)": "{0}: 유한한 숫자가 아닙니다 (그런 칸이 {1}개 "
    "더 있음)",
    "{=} is not a finite number": "{}: 유한한 숫자가 아닙니다",
    "column {=} holds no value": "{} 열에 값이 없습니다",
    "--value names a column twice, or that of the time": "--value에 같은 열이 두 번 있거나 시각 "
    "열이 있습니다",
    "{=} lies outside the calendar": "{}: 달력에 없는 때입니다",
    "{=} is no time stamp; where the day comes first say --day-first": "{}: 시각이 아닙니다. "
    "일이 먼저 오면 --day-first를 쓰세요",
    "{=} is no time stamp": "{}: 시각이 아닙니다",
    "{=} files are not read: save the sheet as .xlsx or CSV": "{} 파일은 읽지 않습니다. .xlsx나 "
    "CSV로 저장하세요",
    "unpacks to {=} bytes in {=} parts; at most {=} in {=} are read: save the sheet as CSV": ""
    "풀면 {1}조각 {0}바이트입니다 ({3}조각 {2}바이트까지). CSV로 저장하세요",
    "--sheet {=}: no such sheet; there are {=}": "--sheet {0}: 그런 시트가 없습니다. 있는 시트: "
    "{1}",
    "an Excel file needs the package openpyxl: pip install openpyxl, or save it as CSV": "엑셀 "
    "파일에는 openpyxl이 필요합니다 (`pip install openpyxl`). 아니면 CSV로 저장하세요",
    "is no readable workbook ({=})": "읽을 수 있는 엑셀 파일이 아닙니다 ({})",
    "has no sheet with cells": "칸이 있는 시트가 없습니다",
    "holds more than {=} letters": "{}글자보다 많습니다",
    "row {=} has {=} cells, its header {=}": "{0}행은 칸이 {1}개인데 머리글은 {2}개입니다",
    "has an empty first row; it must name the columns": "첫 행이 비어 있습니다. 열 이름이 있어야 "
    "합니다",
    "has no column {=}; there are {=}": "{0} 열이 없습니다. 있는 열: {1}",
    "has {=} columns of numbers, at least 2 are needed": "숫자 열이 {}개입니다. 2개는 있어야 "
    "합니다",
    "{=} comes behind {=}: clocks that were set back? Say where the stamps come from, such as "
    "--timezone Europe/Berlin, or write their offset (+02:00) behind them": "{1} 뒤에 {0}이 "
    "옵니다. 시계를 되돌렸나요? --timezone Europe/Berlin처럼 어디의 시각인지 알려 주거나, 시각 "
    "뒤에 차이(+02:00)를 쓰세요",
    "has {=} rows: a series needs {=}": "{0}행입니다. 시계열에는 {1}행이 필요합니다",
    "all time stamps are the same": "시각이 모두 같습니다",
    "{=} of {=} rows repeat the time of another one: does the file hold several series? Give one "
    "file for each": "{1}행 가운데 {0}행의 시각이 다른 행과 같습니다. 시계열이 여러 개인 "
    "파일인가요? 하나씩 나누어 주세요",
    "hardly a row has a value in each of {=}; name fewer columns with --value": "{}에 모두 값이 "
    "있는 행이 거의 없습니다. --value로 열을 줄이세요",
    "{=} is for data of your own: give {=}": "{0}: 자기 데이터에만 씁니다. {1}도 주세요",
    "--timezone {=} is not known here: give a name such as Europe/Berlin, Asia/Seoul or UTC": ""
    "--timezone {}: 모르는 이름입니다. Asia/Seoul, Europe/Berlin, UTC처럼 쓰세요",
    # ---- the labs ----
    "{=} rows are {=}, at least {=} are needed; there are {=}": "{1} 행이 {0}개입니다. {2}개는 "
    "있어야 합니다. 있는 값: {3}",
    "all rows are {=}: there is nothing to find": "모든 행이 {}입니다: 찾을 것이 없습니다",
    "--csv needs --label COLUMN and --normal VALUE: what to learn from": "--csv에는 --label 열과 "
    "--normal 값이 필요합니다: 무엇을 배울지 알려 주세요",
    "--learning-rate {=} is not among the sweep's {=}": "--learning-rate {0}: 훑어보는 값 {1}에 "
    "없습니다",
    "{=} has {=} rows: too few for so many clusters": "{0}: {1}행은 군집 수에 비해 너무 적습니다",
    "the {} split leaves a part without any fraud, so nothing can be judged; "
    "experiments/table_anomalies.py learns from a table without labels, too": "{} 분할의 한 "
    "부분에 사기가 없어 평가할 수 없습니다. experiments/table_anomalies.py는 라벨 없는 표에서도 "
    "배웁니다",
    "{=} labelled frauds do not fill {=} folds: give a file with more frauds in the training "
    "part, larger --budgets or fewer --folds": "라벨이 있는 사기 {0}건으로는 폴드 {1}개를 채울 "
    "수 없습니다. 학습 부분에 사기가 더 많은 파일, 더 큰 --budgets, 더 작은 --folds를 쓰세요",
    "--test-shares, --rates and --alerts-per-day need a value each, or more": "--test-shares, "
    "--rates, --alerts-per-day에는 값이 하나씩은 있어야 합니다",
    "--test-shares must lie between 0 and 1, not {=}": "--test-shares는 0과 1 사이여야 합니다 "
    "(지금 {})",
    "--share {=}: that is less than one anomaly beside {=} rows": "--share {0}: {1}행에 이상이 "
    "하나도 안 됩니다",
    "--share {=}: that is {=} anomalies beside {=} benign rows, and there are {=} malignant ones: "
    "choose a smaller share": "--share {0}: 양성 {2}행에 이상 {1}개가 되는데 악성은 {3}행뿐입니다. "
    "비율을 줄이세요",
    "--neighbours {=}: some sets have {=} rows, give less": "--neighbours {0}: 행이 {1}개뿐인 "
    "데이터가 있으니 줄이세요",
    "--seeds {=}: this is done with one seed, --seed says which": "--seeds {}: 시드 하나로 "
    "돌립니다. --seed로 고르세요",
    "{=}: there are {=} digits, and some must be held out": "{0}: 숫자 이미지는 {1}장이고 얼마쯤은 "
    "따로 두어야 합니다",
    "--known, --budgets: {=} labels of {=} rows (--train)": "--known, --budgets: {1}행(--train)에 "
    "라벨 {0}개는 많습니다",
    "--lecture-known {=}: there are {=} digits": "--lecture-known {0}: 숫자 이미지는 {1}장입니다",
    "--batch-size {=}: there are {=} images to train on": "--batch-size {0}: 학습 이미지는 "
    "{1}장입니다",
    "--dropouts: give 0 first, to compare with, then shares below 1": "--dropouts: 견줄 기준으로 "
    "0을 먼저, 그다음에 1보다 작은 비율을 쓰세요",
    "--depths {=}: give even numbers, for a block has two layers": "--depths {}: 블록 하나가 두 "
    "층이므로 짝수를 쓰세요",
    "--shown {=}: give one of --depths {=}": "--shown {0}: --depths의 {1} 가운데 하나를 쓰세요",
    "--train-rows {=}, --valid-rows {=}: some rows would be in both, for there are {=}": ""
    "--train-rows {0}, --valid-rows {1}: 행이 {2}개라 두 쪽에 겹치는 행이 생깁니다",
    "--ks: between 1 and 256 colours": "--ks: 색은 1개에서 256개까지",
    "the picture has only {=} colours; lower --ks": "사진의 색이 {}개뿐입니다. --ks를 줄이세요",
    "{=} labels do not divide among {=} classes": "라벨 {0}개를 클래스 {1}개에 똑같이 나눌 수 "
    "없습니다",
    "--labels {=}: one of the {=} classes has {=} training images; give at most {=}": "--labels "
    "{0}: 클래스 {1}개 가운데 하나의 학습 이미지가 {2}장입니다. {3}까지 쓰세요",
    "--widths ... {=}: the code stands beside PCA with as many components, and {=} images of {=} "
    "pixels have {=}; give a smaller last width": "--widths ... {0}: 코드를 성분 수가 같은 PCA와 "
    "견주는데, {2}픽셀 이미지 {1}장의 성분은 {3}개입니다. 마지막 너비를 줄이세요",
    "{=} test images on the maps (--mapped) are too few: at least {=} are needed": "지도에 찍을 "
    "테스트 이미지(--mapped) {0}장은 너무 적습니다. {1}장은 있어야 합니다",
    "--warm-up {=}: no epoch of --epochs {=} is left with the full weight; give a shorter warm-up "
    "or more epochs": "--warm-up {0}: --epochs {1} 가운데 전체 가중치로 배우는 에포크가 남지 "
    "않습니다. --warm-up을 줄이거나 --epochs를 늘리세요",
    "--draws {=}: give multiples of {=}, or fewer than {=}": "--draws {0}: {1}의 배수나 {2}보다 "
    "작은 수를 쓰세요",
    "{=} columns of numbers are no window: at least {=} are needed": "숫자 열 {0}개로는 창이 되지 "
    "않습니다. {1}개는 있어야 합니다",
    "--only-twins: the data folder holds none of the six; leave it out": "--only-twins: 데이터 "
    "폴더에 여섯 개가 하나도 없습니다. 옵션을 빼세요",
    "--window {=}: give a multiple of 4, at most {=}": "--window {0}: 4의 배수로, {1}까지 쓰세요",
    "--window {=}: give a multiple of 4": "--window {}: 4의 배수로 쓰세요",
    "give --alerts-per-week or --false-alarm-rate, not both": "--alerts-per-week와 "
    "--false-alarm-rate 가운데 하나만 쓰세요",
    "{=}: give more than 0": "{}: 0보다 커야 합니다",
    "{=}: between 0 and 1": "{}: 0과 1 사이여야 합니다",
    "{=}: give a number between 0 and 1": "{}: 0과 1 사이의 수를 쓰세요",
    "{=}: give 1 to {=}": "{0}: 1에서 {1}까지 쓰세요",
    "{=} rows are less than three seasons of {=} ({}): give a longer series, or --season-rows": ""
    "{0}행은 {1}행짜리 주기 세 번보다 짧습니다 ({2}). 더 긴 시계열이나 --season-rows를 쓰세요",
    "{=} rows: give {=} or more, twice what is learnt": "{0}행: 배우는 데 쓰는 행의 두 배인 "
    "{1}행 이상을 주세요",
    "less than three days, so the highest autocorrelation; --season-rows sets it": "사흘이 안 "
    "되어 자기상관이 가장 높은 길이; --season-rows로 정함",
    "the earlier half has no scores to choose a threshold by": "앞 절반에 임계값을 정할 점수가 "
    "없습니다",
    "--alerts-per-week {=}: the earlier {=} weeks hold {=} of them; ask for more than {=}, or "
    "give a longer series": "--alerts-per-week {0}: 앞 {1}주에 {2}개뿐입니다. {3}보다 크게 "
    "하거나 더 긴 시계열을 주세요",
    "--alerts-per-week {=}: the {=} days that validate hold {=} of them; ask for more than {=}, "
    "or give a longer series": "--alerts-per-week {0}: 검증하는 {1}일에 {2}개뿐입니다. {3}보다 "
    "크게 하거나 더 긴 시계열을 주세요",
    "{=} + {=} rows to learn and validate and {=} to test are too few for --window {=}, "
    "--valid-share {=} and --alarm-rate {=}: use a smaller --window, or a longer series": ""
    "학습과 검증 {0} + {1}행, 테스트 {2}행은 --window {3}, --valid-share {4}, --alarm-rate "
    "{5}에 모자랍니다. --window를 줄이거나 더 긴 시계열을 쓰세요",
    "{=} + {=} rows to learn and validate and {=} to test are too few for --window {=} and "
    "--valid-share {=}: use a smaller --window, or a longer series": "학습과 검증 {0} + {1}행, "
    "테스트 {2}행은 --window {3}, --valid-share {4}에 모자랍니다. --window를 줄이거나 더 긴 "
    "시계열을 쓰세요",
    "a column of the series to learn from is constant, or its values are out of all range": ""
    "배울 시계열의 한 열이 값이 하나이거나 범위를 벗어났습니다",
    "gaps leave {=} windows of {=} rows to {=}: use a smaller --window": "빈 곳 때문에 {2}에 쓸 "
    "{1}행짜리 창이 {0}개입니다. --window를 줄이세요",
    "{=} has {=} rows without a blank, at most {=} can be scored": "{0}: 빈칸 없는 행이 "
    "{1}개입니다 ({2}개까지 점수를 매김)",
    "{=} has {=} rows without a blank, {=} are needed": "{0}: 빈칸 없는 행이 {1}개입니다. "
    "{2}개가 필요합니다",
    "{=} has {=} rows without a blank, of which {=} are learnt from, {=} are needed": "{0}: 빈칸 "
    "없는 행이 {1}개이고 그중 {2}개를 배웁니다. {3}개가 필요합니다",
    "{=} has {=} columns of numbers: choose --codes below {=}": "{0}: 숫자 열이 {1}개입니다. "
    "--codes를 {2} 아래로 고르세요",
    "{=} has {=} rows to train on: choose --codes below {=}": "{0}: 학습할 행이 {1}개입니다. "
    "--codes를 {2} 아래로 고르세요",
    "--csv needs --label COLUMN: the labels, blank where none is known": "--csv에는 --label 열이 "
    "필요합니다: 라벨이 있는 열, 모르는 곳은 빈칸",
    "--label {=}: {=} kinds of labels, 2 are needed": "--label {0}: 라벨이 {1}종류입니다. "
    "2종류는 있어야 합니다",
    "{=} has {=} rows without a blank, more than {=} are needed and at most {=} fit into the "
    "graph": "{0}: 빈칸 없는 행이 {1}개입니다. {2}개보다 많아야 하고, 그래프에는 {3}개까지 "
    "들어갑니다",
    "--classifier-neighbours {=}: only {=} rows can vote": "--classifier-neighbours {0}: 투표할 "
    "수 있는 행은 {1}개뿐입니다",
    "--alerts-per-day {=}: must be more than 0": "--alerts-per-day {}: 0보다 커야 합니다",
    "--detector {=} uses no labels: leave out --learn-from labels": "--detector {}은 라벨을 쓰지 "
    "않습니다. --learn-from labels를 빼세요",
    "--positive {=} needs --label: which column holds it?": "--positive {}에는 --label이 "
    "필요합니다: 어느 열에 있나요?",
    "--decide-by cost: none of the {=} threshold rows is an anomaly, so no cost can be weighed: "
    "try --split random, or another --decide-by": "--decide-by cost: 임계값용 행 {}개에 이상이 "
    "없어 비용을 견줄 수 없습니다. --split random이나 다른 --decide-by를 쓰세요",
    "{=} rows are too few: at least {=} are split in three": "{0}행은 너무 적습니다. 셋으로 "
    "나누려면 {1}행은 있어야 합니다",
    "{=} needs --label": "{}에는 --label이 필요합니다",
    "--split time needs --time: no column says when the rows happened": "--split time에는 "
    "--time이 필요합니다: 언제 일어났는지 알려 주는 열이 없습니다",
    "no normal rows are left to learn from: is --positive what you mean?": "배울 정상 행이 "
    "없습니다. --positive가 맞나요?",
    "--learn-from labels: the learning part holds rows of one kind only": "--learn-from labels: "
    "배우는 부분에 한 종류의 행만 있습니다",
    "{=} needs --{=}": "{0}에는 --{1}이 필요합니다",
    "{=}: a share lies between 0 and 1, both excluded": "{}: 비율은 0보다 크고 1보다 작아야 합니다",
    "--alerts-per-day needs a date column (--time), or --time-unit where the column holds plain "
    "numbers": "--alerts-per-day에는 날짜 열(--time)이 필요합니다. 열이 그냥 숫자이면 "
    "--time-unit을 쓰세요",
    "{=}; ask for less": "{}. 더 적게 바라세요",
    "the days of one column are judged: name it with --value, such as --value {=}": "한 열의 "
    "날들을 판단합니다. --value {}처럼 알려 주세요",
    "a step of {=} is too long: an hour or less is needed": "간격 {}은 너무 깁니다. 한 시간 "
    "이하여야 합니다",
    "{=} whole days are fewer than {=} weeks": "온전한 날 {0}일은 {1}주보다 짧습니다",
    "{=} days are more than {=}": "{0}일은 {1}일보다 많습니다",
    "no day is left to judge behind {=} days to learn from: give a longer series, or a smaller "
    "--warmup-days or --mad-days": "배우는 {0}일 뒤에 판정할 날이 남지 않습니다. 더 긴 시계열을 "
    "주거나 --warmup-days나 --mad-days를 줄이세요",
    "an hour of the week never has a row, so no day can be judged by it": "한 주의 어느 시간에는 "
    "행이 하나도 없어 날을 판단할 수 없습니다",
}
