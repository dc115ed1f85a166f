"""The options of the labs, explained in Korean.

The English explanation in a lab's Config is the key, as in gettext: what is not here, or has been
changed since, stays English.
"""

import ast
import dataclasses
import inspect
import textwrap
from typing import Annotated, Any

from jaxdl.cli.korean_help import filled

ABOUT = "이 실습의 옵션입니다."


def lab_in_korean(config: type) -> Any:
    """A lab's Config with its help in Korean; fields, types and defaults are the same.

    Print its help inside `korean_help.unfilled`.
    """
    from tyro.conf import arg

    explained = explanations(config)
    fields = []
    for field in dataclasses.fields(config):
        kind: Any = field.type
        korean = LAB_HELP.get(explained.get(field.name, ""))
        if korean is not None:
            kind = Annotated[kind, arg(help=filled(korean))]
        fields.append((field.name, kind, field))
    namespace = {"__doc__": filled(ABOUT)}
    return dataclasses.make_dataclass(
        config.__name__, fields, bases=(config,), namespace=namespace, frozen=True
    )


def explanations(config: type) -> dict[str, str]:
    """Field -> its English explanation in one line: the text below it in the source."""
    found: dict[str, str] = {}
    for made in reversed(config.__mro__):  # options that labs share stand in a base
        if dataclasses.is_dataclass(made):
            found |= _explained_in(made)
    return found


def _explained_in(config: type) -> dict[str, str]:
    try:
        (written,) = ast.parse(textwrap.dedent(inspect.getsource(config))).body
    except (OSError, TypeError, SyntaxError, ValueError):  # made in a notebook, say
        return {}
    if not isinstance(written, ast.ClassDef):
        return {}
    found = {}
    for node, below in zip(written.body, written.body[1:], strict=False):
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
        ):
            found[node.target.id] = " ".join(str(below.value.value).split())
    return found


LAB_HELP = {
    "A time series of your own: CSV (.gz) or Parquet with time stamps and numbers.": "내 시계열: "
    "시각과 숫자가 있는 CSV(.gz)나 Parquet.",
    "Its column of time stamps; found if not said.": "시각 열; 없으면 알아서 찾음.",
    "Its columns of values; found if not said: `value` or `y`, else all columns of numbers.": "값 "
    "열; 없으면 `value`나 `y`, 그것도 없으면 모든 숫자 열.",
    "3/4/2025 in it is the third of April.": "3/4/2025를 4월 3일로 읽음.",
    "Of stamps that name none, such as Europe/Berlin; UTC if not said.": "시간대가 없는 시각의 "
    "시간대, 예: Asia/Seoul; 없으면 UTC.",
    "validation: chosen on images set aside; lecture: the test images are the "
    "validation curve.": "validation: 따로 둔 이미지로 고름; lecture: 테스트 이미지가 검증 곡선.",
    'Training images set aside (protocol "validation").': "따로 두는 학습 이미지 수 (프로토콜 "
    '"validation").',
    "Passes over the training images.": "학습 이미지를 도는 횟수 (에포크).",
    "Images in a step; divides the number of training images.": "한 단계의 이미지 수; 학습 이미지 "
    "수의 약수.",
    "The slide's rate; one of `learning_rates`.": "슬라이드의 학습률; `learning_rates` 가운데 "
    "하나.",
    "The sweep.": "비교할 학습률들.",
    "Shares of hidden units dropped; the first is none.": "드롭아웃할 은닉 유닛의 비율; 첫 값은 "
    "없음.",
    "Training images with dropout or without biases: few enough to be learnt "
    "by heart.": "드롭아웃이나 편향 없음 실험의 학습 이미지 수: 외울 수 있을 만큼 적게.",
    "Passes over them.": "그 에포크 수.",
    "Images in a step there.": "거기서 한 단계의 이미지 수.",
    "Training images of the simulated twin, where no real file is found.": "실제 파일이 없을 때 "
    "쓰는 모의 데이터의 학습 이미지 수.",
    "One convolution in each block, or two.": "블록마다 합성곱 하나 또는 둘.",
    "lecture: flip, shifts of 0.1; deck: rotation 40, shifts, shear and zoom "
    "0.2, flip.": "lecture: 뒤집기, 0.1 옮기기; deck: 40도 회전, 옮기기, 기울이기와 확대 0.2, "
    "뒤집기.",
    "Images in a step.": "한 단계의 이미지 수 (배치 크기).",
    "Adam's step size.": "Adam의 학습률.",
    "Adam's step size; with a schedule the highest.": "Adam의 학습률; 스케줄을 쓰면 최고 학습률.",
    "cosine: the step size rises for a twentieth of the steps, then falls to 0.": "cosine: "
    "학습률이 처음 20분의 1 동안 오른 뒤 0까지 내려감.",
    "Views of a validation or test image, mirrored and moved by a pixel, whose mean counts.": ""
    "검증 이미지와 테스트 이미지를 뒤집고 한 픽셀씩 옮겨 보는 횟수; 그 평균으로 판정함.",
    'Part of each training class that is set aside (protocol "validation").': "클래스마다 따로 "
    '두는 학습 이미지의 비율 (프로토콜 "validation").',
    "Training and test images of the simulated twin, where no real file is found.": "실제 파일이 "
    "없을 때 쓰는 모의 데이터의 학습 이미지와 테스트 이미지 수.",
    "A folder of one's own pictures, a sub-folder for each class, in place "
    "of CIFAR-10.": "CIFAR-10 대신 쓸 내 사진 폴더, 클래스마다 하위 폴더 하나.",
    "Part of each class to test on (--images, where there are no folders train "
    "and test).": "클래스마다 테스트에 쓸 비율 (--images, train과 test 폴더가 없을 때).",
    "Seed of that choice.": "그 선택의 시드.",
    "The whole recipe, and what is left of it without one part.": "전체 방법과, 한 부분씩 뺀 것.",
    "Training images, in equal numbers of each class.": "학습 이미지 수, 클래스마다 같은 수.",
    "Further training images, for the curves; 0: none.": "곡선을 그릴 나머지 학습 이미지 수; 0: "
    "없음.",
    "Test images, the first ones.": "앞쪽 테스트 이미지 수.",
    "Channels of the three blocks.": "세 블록의 채널 수.",
    "The highest, for 1,024 images; SGD with Nesterov's momentum.": "이미지 1,024장일 때의 최고 "
    "학습률; 네스테로프 모멘텀 SGD.",
    "Of SGD.": "SGD의 모멘텀.",
    "Of all weights, for 1,024 images.": "이미지 1,024장일 때 모든 가중치의 감쇠.",
    "Biases of the normalisations learn so many times as fast.": "정규화 층의 편향이 몇 배 빠르게 "
    "배우는가.",
    "After so many the first layer's biases stay as they are.": "이 에포크 뒤로 첫 층의 편향은 "
    "그대로 둠.",
    "Part of each label that is spread over all classes.": "라벨에서 모든 클래스로 퍼뜨리는 비율 "
    "(라벨 스무딩).",
    "Part of each label that is spread over all classes, in validation losses as in training.": ""
    "라벨에서 모든 클래스로 퍼뜨리는 비율 (라벨 스무딩); 학습 손실과 검증 손실에 모두.",
    "Training images are moved by up to so many pixels each way.": "학습 이미지를 각 방향으로 "
    "옮기는 최대 픽셀 수.",
    "Steps from one averaging of the weights to the next.": "가중치 평균 사이의 단계 수.",
    "Points of each shape.": "모양마다 점의 수.",
    "DBSCAN: radius of a neighbourhood, in standard deviations.": "DBSCAN: 이웃의 반지름 "
    "(표준편차 단위).",
    "DBSCAN: points in a neighbourhood that make a core.": "DBSCAN: 핵심점이 되는 이웃의 점 수.",
    "Largest number of clusters tried.": "시도할 가장 큰 군집 수.",
    "Uniform data sets of the gap statistic.": "간격 통계량에 쓸 균등 분포 데이터의 수.",
    "K-means starts.": "K-평균의 시작 횟수.",
    "A table of one's own: its columns of numbers, standardised, are clustered.": "내 표: 숫자 "
    "열을 표준화하여 군집으로 나눔.",
    "Clusters of that table; 0: as many as the silhouette says.": "그 표의 군집 수; 0: 실루엣이 "
    "정하는 만큼.",
    "Passes of the lecture's training.": "강의 방식 학습의 에포크 수.",
    "Points in one of its steps; the long ones take all 100.": "그 한 단계의 점 수; 긴 학습은 "
    "100개를 모두 씀.",
    "Its step size (SGD).": "그 학습률 (SGD).",
    "Passes of the training that shall reach the floor, and of the non-linear one.": "최소 오차에 "
    "닿아야 하는 학습과 비선형 학습의 에포크 수.",
    "Width of the non-linear layers.": "비선형 층의 너비.",
    "Your own transactions: columns Time, V1..V28, Amount, Class (0 normal, 1 fraud).": "내 거래 "
    "파일: 열 Time, V1..V28, Amount, Class (0 정상, 1 사기).",
    "True share of fraud, where the file was down-sampled: normal rows are weighted "
    "to it.": "정상 행을 줄인 파일일 때 사기의 실제 비율: 정상 행에 그만큼 가중치를 줌.",
    "random: the lecture's, seed 0; temporal: train on the earlier rows, test on "
    "the later.": "random: 강의의 시드 0; temporal: 앞선 행으로 학습, 나중 행으로 테스트.",
    "Share of the rows that are tested.": "테스트에 쓸 행의 비율.",
    "Encoder widths; the last is the code. The decoder mirrors them.": "인코더 층의 너비; "
    "마지막이 코드. 디코더는 거울처럼 반대.",
    "Passes over the normal training rows.": "정상 학습 행을 도는 횟수 (에포크).",
    "Rows in a step.": "한 단계의 행 수 (배치 크기).",
    "Thresholds: mean + k standard deviations of the normal training errors.": "임계값: 정상 학습 "
    "오차의 평균 + k 표준편차.",
    "Rows of the simulated twin, where no real file is found.": "실제 파일이 없을 때 쓰는 모의 "
    "데이터의 행 수.",
    "Optimiser steps of the deep models, in whole epochs.": "딥러닝 모델의 최적화 단계 수 (온전한 "
    "에포크 단위).",
    "Normal rows that kNN, LOF, DBSCAN and the one-class SVM see.": "kNN, LOF, DBSCAN, 단일 "
    "클래스 SVM이 보는 정상 행의 수.",
    "Of the training rows after over- or under-sampling.": "과대표집 또는 과소표집 뒤 학습 "
    "행에서의 사기 비율.",
    "True share of fraud, where the file was down-sampled; else that of each part.": "정상 행을 "
    "줄인 파일일 때 사기의 실제 비율; 없으면 각 부분의 비율.",
    "Labelled frauds, for training and for the threshold together; 1000 is more than "
    "there are.": "라벨이 붙은 사기 건수, 학습과 임계값을 합하여; 1000은 있는 것 모두.",
    "Parts of the labelled rows, each held out once.": "라벨이 붙은 행을 나누는 수, 한 번씩 따로 "
    "둠.",
    "Of the encoder.": "인코더의 너비.",
    "Optimiser steps of the autoencoder, in whole epochs; batch 128.": "오토인코더의 최적화 단계 "
    "수 (온전한 에포크 단위); 배치 128.",
    "Optimiser steps of the small network, in whole epochs; batch 256.": "작은 신경망의 최적화 "
    "단계 수 (온전한 에포크 단위); 배치 256.",
    "Normal rows that the classifiers of the first table train on, at most.": "첫 표의 분류기가 "
    "학습할 정상 행의 최대 수.",
    "Normal rows that they are tested on, at most; fewer are faster and make "
    "precision coarse.": "그 테스트에 쓸 정상 행의 최대 수; 적으면 빠르지만 정밀도가 거칠어짐.",
    "validation: thresholds and choices by held-out rows, options `budgets` to `wide_steps`; "
    "lecture: every row taught, none held out, `epochs` and `classifier_epochs`.": "validation: "
    "임계값과 선택을 따로 둔 행으로, 옵션은 `budgets`부터 `wide_steps`까지; lecture: 따로 두지 "
    "않고 모든 행으로 학습, 옵션은 `epochs`와 `classifier_epochs`.",
    'Passes of the autoencoder over the training rows (protocol "lecture").': "오토인코더의 에포크 "
    '수 (프로토콜 "lecture").',
    'Passes of the small network, batch 1024 (protocol "lecture").': "작은 신경망의 에포크 수, "
    '배치 1024 (프로토콜 "lecture").',
    "Extremely randomised trees of each member.": "모델마다 엑스트라 트리의 나무 수.",
    "Optimiser steps of the wider network, in whole epochs; batch 1024.": "넓은 신경망의 최적화 "
    "단계 수 (온전한 에포크 단위); 배치 1024.",
    "Shares of the training frauds that are taken out, for the second table.": "둘째 표에서 빼는 "
    "학습 사기의 비율들.",
    "Optimiser steps of each autoencoder, in whole epochs.": "오토인코더마다 최적화 단계 수 "
    "(온전한 에포크 단위).",
    "Normal rows that the classifier of made-up frauds is taught, at most.": "지어낸 사기를 "
    "배우는 분류기가 볼 정상 행의 최대 수.",
    "Frauds that are made up for it.": "거기에 지어낼 사기의 수.",
    "Customers in the simulated stream.": "모의 거래 흐름의 고객 수.",
    "Fraud cases of each pattern.": "유형마다 사기 사건의 수.",
    "Encoder of the autoencoder; the decoder mirrors it.": "오토인코더의 인코더 너비; 디코더는 "
    "거울처럼 반대.",
    "Passes over the training payments.": "학습 거래를 도는 횟수 (에포크).",
    "Payments in a step.": "한 단계의 거래 수 (배치 크기).",
    "Share of the rows, the latest ones, that is the later part; one split for each.": "나중 "
    "부분이 되는 마지막 행들의 비율; 값마다 분할 하나.",
    "False-alarm rates asked for.": "요구할 오경보율들.",
    "Share of all rows that is to be flagged, asked for.": "경보를 울릴 모든 행의 비율 (요구).",
    "Alerts a day asked for: what the reviewers can look at.": "요구할 하루 알림 수: 검토하는 "
    "사람이 볼 수 있는 만큼.",
    "Preceding rows that a moving threshold looks at.": "움직이는 임계값이 돌아보는 앞선 행의 수.",
    "Rows between two of its moves.": "한 번 움직이고 다음까지의 행 수.",
    "How fast it moves: one alert too many lowers its level by this share.": "움직이는 빠르기: "
    "알림이 하나 많으면 수준을 이 비율만큼 낮춤.",
    "Fixed cost of a missed fraud in euro.": "놓친 사기의 고정 비용 (유로).",
    "Fixed cost of a false alarm in euro.": "오경보의 고정 비용 (유로).",
    "Also flag by Benjamini and Hochberg's rule: at most this share of the alerts "
    "is false.": "벤야미니-호흐베르크 규칙으로도 경보: 알림 중 거짓이 많아야 이 비율.",
    "Optimiser steps, in whole epochs.": "최적화 단계 수 (온전한 에포크 단위).",
    "Hidden layers of the encoder; the decoder mirrors them.": "인코더의 은닉층; 디코더는 "
    "거울처럼 반대.",
    "Dimensions of the code.": "코드의 차원 수.",
    "Standard deviation that the likelihood gives a column: smaller asks for "
    "better copies.": "가능도가 열에 주는 표준편차: 작을수록 더 정확한 복원을 요구.",
    "Weight of the KL term.": "KL 항의 가중치.",
    "Thresholds: mean + k standard deviations of the scores of normal training rows.": "임계값: "
    "정상 학습 행 점수의 평균 + k 표준편차.",
    "Optimiser steps of each variant, in whole epochs: the same work on files of "
    "any size.": "변형마다 최적화 단계 수 (온전한 에포크 단위): 파일 크기와 상관없이 같은 양.",
    "Standard deviation of the noise that the denoising variant has to undo.": "잡음 제거 변형이 "
    "없애야 하는 잡음의 표준편차.",
    "Normal rows that the trees are taught, at most; a seventh as many frauds are "
    "made up.": "트리가 배울 정상 행의 최대 수; 그 7분의 1만큼 사기를 지어냄.",
    "How many of the highest alerts are explained.": "점수가 높은 알림 가운데 설명할 수.",
    "Training rows of the perceptron.": "퍼셉트론의 학습 행 수.",
    "Training series of each recurrent model.": "순환 모델마다 학습 시계열 수.",
    "Training images (or pairs) of each convolutional model.": "합성곱 모델마다 학습 이미지(또는 "
    "쌍)의 수.",
    "Test rows of every model.": "모델마다 테스트 행 수.",
    "Passes of the perceptron.": "퍼셉트론의 에포크 수.",
    "Passes of each recurrent model.": "순환 모델마다 에포크 수.",
    "Passes of each convolutional model.": "합성곱 모델마다 에포크 수.",
    "Rows in a step; half as many images.": "한 단계의 행 수; 이미지는 그 절반.",
    "Adam's step size; a hundredth of it for images.": "Adam의 학습률; 이미지는 그 100분의 1.",
    "Weights of the series' squared error beside the label's cross-entropy "
    "(two outputs).": "라벨의 교차 엔트로피 옆 시계열 제곱 오차의 가중치 (출력 둘).",
    "Your own picture, in any format that Pillow reads. Default: two that "
    "scikit-learn brings.": "내 사진, Pillow가 읽는 모든 형식. 기본값: scikit-learn의 두 장.",
    "Numbers of colours.": "색의 수들.",
    "K-means++ starts for every k.": "k마다 K-평균++의 시작 횟수.",
    "Stop when squared movements are below this times the mean variance, as "
    "in scikit-learn.": "움직임의 제곱이 평균 분산의 이 배 아래면 멈춤 (scikit-learn과 같음).",
    "Take every n-th pixel of every n-th row.": "n번째 행의 n번째 픽셀마다 씀.",
    "validation: chosen on films set aside; lecture: the test half is the "
    "validation curve.": "validation: 따로 둔 영화로 고름; lecture: 테스트 절반이 검증 곡선.",
    "Units of both hidden layers; older editions of the lab: 4 16 512.": "두 은닉층의 유닛 수; "
    "이전 판의 실습은 4 16 512.",
    'Strength of L1: factor of sum|w| over the hidden kernels (protocol "validation").': "L1의 "
    '세기: 은닉 커널의 sum|w|에 곱함 (프로토콜 "validation").',
    "Strength of L2: factor of sum(w ** 2).": "L2의 세기: sum(w ** 2)에 곱함.",
    "Strength of L1 as a soft threshold after Adam's step; not on the scale of `l1` (protocol "
    '"validation").': "Adam 단계 뒤 부드러운 문턱값으로서 L1의 세기; `l1`과는 다른 척도 (프로토콜 "
    '"validation").',
    "Share of the hidden units dropped.": "드롭아웃할 은닉 유닛의 비율.",
    "Epochs without a lower validation cross-entropy before early stopping stops "
    '(protocol "validation").': "검증 교차 엔트로피가 낮아지지 않아도 기다리는 에포크 수 (조기 "
    '종료; 프로토콜 "validation").',
    "Passes over the training reviews.": "학습 영화평을 도는 횟수 (에포크).",
    "Reviews in a step.": "한 단계의 영화평 수 (배치 크기).",
    "Vocabulary, with the four special numbers.": "어휘 수 (특별한 번호 네 개 포함).",
    'Part of the training reviews that is set aside (protocol "validation").': "따로 두는 학습 "
    '영화평의 비율 (프로토콜 "validation").',
    "Reviews in each half of the simulated twin, where no real file is found.": "실제 파일이 없을 "
    "때 쓰는 모의 데이터 각 절반의 영화평 수.",
    "A table of one's own texts with a label of two kinds, in place of the "
    "film reviews.": "영화평 대신 쓸 내 글과 두 가지 라벨이 있는 표.",
    "Its column of texts; found out.": "글이 있는 열; 없으면 알아서 찾음.",
    "Its column of labels, words or numbers; found out.": "라벨이 있는 열 (단어나 숫자); 없으면 "
    "알아서 찾음.",
    "The label that counts as positive; found out.": "긍정으로 셀 라벨; 없으면 알아서 찾음.",
    "Part of each kind of these texts that is tested on.": "이 글들에서 종류마다 테스트에 쓸 비율.",
    "How many pairs of neighbouring words, those in most training reviews.": "이웃한 단어 쌍의 "
    "수, 가장 많은 학습 영화평에 나오는 것부터.",
    "So many words at the end of a review count apart, in the models that are named after "
    "it.": "영화평 끝의 단어 몇 개를 따로 셈 (이름에 ending이 있는 모델).",
    "Units of both hidden layers on words and pairs.": "단어와 쌍을 읽는 두 은닉층의 유닛 수.",
    "Strength of the proximal L1 step on words and pairs.": "단어와 쌍에서 L1 근접 단계의 세기.",
    "The same where words have weights.": "단어에 가중치가 있을 때의 같은 값.",
    "Reviews in a step, words and pairs.": "한 단계의 영화평 수, 단어와 쌍.",
    "Words of a review that the convolution reads: its last ones.": "합성곱이 읽는 단어 수: "
    "영화평의 마지막 단어들.",
    "Words of a review that the recurrent networks read: its last ones.": "순환 신경망이 읽는 "
    "단어 수: 영화평의 마지막 단어들.",
    "Reviews in a step, networks that read words in order (half as many for "
    "the convolution).": "한 단계의 영화평 수, 순서대로 읽는 신경망 (합성곱은 절반).",
    "Passes of the networks that read words in order, over which the step size falls to "
    "0.": "순서대로 읽는 신경망의 에포크 수; 그동안 학습률이 0까지 줄어듭니다.",
    "Adam's largest step size, convolution.": "Adam의 가장 큰 학습률, 합성곱.",
    "The same, recurrent networks.": "같은 값, 순환 신경망.",
    "Epochs without a lower validation cross-entropy before a bag stops.": "검증 교차 엔트로피가 "
    "낮아지지 않아도 가방이 멈추기까지 기다리는 에포크 수.",
    "Part of the training reviews, of films of their own, that is not trained on at "
    "first.": "처음에는 학습에 쓰지 않는, 다른 영화의 학습 영화평 비율.",
    "Which images.": "어떤 이미지 데이터인가.",
    "The first three are the lecture's nets and protocol, the others take the better protocol; "
    'stacked-mse is the lecture\'s stacked net again. "convolutional" takes its time.': "앞의 "
    "셋은 강의의 신경망과 방식, 나머지는 더 나은 방식; stacked-mse는 강의의 적층 신경망을 다시 "
    '학습. "convolutional"은 오래 걸림.',
    "Passes of the lecture's protocol.": "강의 방식의 에포크 수.",
    "Images in one of its steps.": "그 한 단계의 이미지 수.",
    "Passes of the better protocol.": "더 나은 방식의 에포크 수.",
    "Its highest learning rate; the lecture's is 1e-3 throughout.": "그 최고 학습률; 강의는 줄곧 "
    "1e-3.",
    "Training images, the last ones, that it holds out to choose the epoch.": "에포크를 고르려고 "
    "따로 두는 마지막 학습 이미지 수.",
    "Hidden layers of the wide net; the last is the convolutional net's dense layer, too.": "넓은 "
    "신경망의 은닉층; 마지막 것은 합성곱 신경망의 밀집층이기도 함.",
    "Of the convolutional net, which cuts the image into 7 x 7 patches.": "이미지를 7 x 7 "
    "조각으로 나누는 합성곱 신경망의 채널 수.",
    "Training images of the simulated twin, where no real files are found.": "실제 파일이 없을 때 "
    "쓰는 모의 데이터의 학습 이미지 수.",
    "A folder of one's own pictures, a sub-folder for each class, in place of MNIST.": "MNIST "
    "대신 쓸 내 사진 폴더, 클래스마다 하위 폴더 하나.",
    "validation: curves on images set aside; lecture: the test images are the "
    "validation curve.": "validation: 따로 둔 이미지의 곡선; lecture: 테스트 이미지가 검증 곡선.",
    "Images on which the step by hand and the engine are compared, two epochs each.": "직접 쓴 "
    "단계와 엔진을 두 에포크 동안 비교할 이미지 수.",
    "Encoder; the last is the code. The decoder mirrors it.": "인코더의 너비; 마지막이 코드. "
    "디코더는 거울처럼 반대.",
    "Passes over the training images, for each of the two autoencoders.": "두 오토인코더마다 학습 "
    "이미지를 도는 횟수.",
    "Adam's highest step size; it falls to 0 on a cosine.": "Adam의 최고 학습률; 코사인을 따라 "
    "0까지 내려감.",
    "Training images, the last ones, that choose the epoch.": "에포크를 고르는 마지막 학습 이미지 "
    "수.",
    "Gaussian noise: standard deviation, for pixels from 0 to 1.": "가우스 잡음: 0에서 1 사이 "
    "픽셀의 표준편차.",
    "Salt and pepper: share of pixels.": "소금과 후추 잡음: 픽셀의 비율.",
    "Masking: share of pixels.": "가림: 픽셀의 비율.",
    "Test images that are searched for.": "비슷한 것을 찾을 테스트 이미지 수.",
    "Images of each kind that are changed or made.": "바꾸거나 만들 종류별 이미지 수.",
    "Test images on the maps.": "지도에 찍을 테스트 이미지 수.",
    "Also draw maps by t-SNE.": "t-SNE 지도도 그림.",
    "Numbers of labels for the classifiers, as many of every class.": "분류기에 줄 라벨 수, "
    "클래스마다 같은 수.",
    "Optimiser steps of the classifying nets, batch 50.": "분류 신경망의 최적화 단계 수, 배치 50.",
    "How training images are made binary; validation and test images are drawn once.": "학습 "
    "이미지를 이진화하는 방법; 검증과 테스트 이미지는 한 번만 뽑음.",
    "Final weight of the KL term.": "KL 항의 마지막 가중치.",
    "Epochs over which that weight rises from 0, fewer than --epochs; 0: it is there at once.": ""
    "그 가중치가 0에서 올라가는 에포크 수, --epochs보다 작게; 0: 처음부터 그대로.",
    "Passes of a second model with two dimensions, for the pictures (one seed).": "그림을 위한 "
    "2차원 둘째 모델의 에포크 수 (시드 하나).",
    "K of the importance-weighted bounds: 1 or multiples of 25.": "중요도 가중 하한의 K: 1 또는 "
    "25의 배수.",
    "Test images, the first ones, for these bounds; all 10,000 take ten times as long.": "그 "
    "하한에 쓸 앞쪽 테스트 이미지 수; 10,000장 모두면 열 배 걸림.",
    "Only the six series that have a simulated twin.": "모의 데이터가 있는 시계열 여섯 개만.",
    "Rows in a window of the window detectors; a multiple of 4.": "창을 쓰는 탐지기의 창 "
    "길이(행); 4의 배수.",
    "Epochs of the Conv1D autoencoder.": "Conv1D 오토인코더의 에포크 수.",
    "Epochs of the LSTM autoencoder; 0 leaves it out.": "LSTM 오토인코더의 에포크 수; 0이면 뺌.",
    "Windows in a step.": "한 단계의 창 수 (배치 크기).",
    "Of Adam.": "Adam의 학습률.",
    "Of the sub-sequence PCA.": "부분 수열 PCA의 성분 수.",
    "Of the sub-sequence kNN.": "부분 수열 kNN의 이웃 수.",
    "Label-free threshold of the window detectors: rarer than once in 10**this many rows.": "창 "
    "탐지기의 라벨 없는 임계값: 10**이 값 행에 한 번보다 드문 것.",
    "Epochs of the patch encoder; 0 leaves it untrained.": "패치 인코더의 에포크 수. 0이면 "
    "학습하지 않음.",
    "Times the streaming detector's own threshold, to see how much hangs on it.": "실시간 "
    "탐지기 자신의 임계값에 곱할 값, 얼마나 좌우되는지 보려고.",
    "With --series: the threshold under which the earlier half has so many incidents "
    "a week.": "--series와 함께: 앞 절반의 이상 구간이 주당 이만큼이 되는 임계값.",
    "With --series: the threshold that this share of the earlier half's rows "
    "is above.": "--series와 함께: 앞 절반 행의 이 비율이 넘는 임계값.",
    "With --series: rows after which the series repeats itself; else a day, or as "
    "it looks.": "--series와 함께: 시계열이 되풀이되는 행 수; 없으면 하루, 또는 보이는 대로.",
    "NAB series to learn from.": "배울 NAB 시계열.",
    "NAB series to look for anomalies in.": "이상을 찾을 NAB 시계열.",
    "Points in a window; a multiple of 4.": "창의 점 수; 4의 배수.",
    "Most epochs of training (the notebook allows 50 and stops after 13).": "최대 에포크 수 "
    "(노트북은 50까지 두고 13에서 멈춤).",
    "Patience of the published protocol.": "발표된 방식이 기다리는 에포크 수.",
    "Patience of the sound protocol.": "올바른 방식이 기다리는 에포크 수.",
    "Share of the series, at its end, that validates in the sound protocol.": "올바른 방식에서 "
    "검증에 쓸 시계열 끝부분의 비율.",
    "Share of validation windows above the quantile threshold.": "분위수 임계값 위에 있을 검증 "
    "창의 비율.",
    "With --series, instead of --alarm-rate: so many incidents a week.": "--series와 함께, "
    "--alarm-rate 대신: 주당 이상 구간 수.",
    "Test values above this are the true block (known only to the evaluation).": "테스트 값이 "
    "이보다 크면 실제 이상 구간 (평가에만 쓰임).",
    "Also train the net of the Keras example.": "Keras 예제의 신경망도 학습.",
    "Also show the untrained nets.": "학습하지 않은 신경망도 보임.",
    "Which models to train.": "학습할 모델.",
    "Words or n-grams of a bag at most: those that occur most often in "
    "training reviews.": "가방에 넣을 단어나 n-그램의 최대 수: 학습 영화평에 가장 자주 나오는 것.",
    "Letters of the longest n-grams.": "가장 긴 n-그램의 글자 수.",
    "Jamo of the longest n-grams; two syllables have four to six.": "가장 긴 n-그램의 자모 수; 두 "
    "음절은 네 개에서 여섯 개.",
    "Reviews in a step, bags.": "한 단계의 영화평 수, 가방.",
    "Adam's step size, bags.": "Adam의 학습률, 가방.",
    "Passes over the training reviews at most, bags.": "학습 영화평을 도는 최대 횟수, 가방.",
    "Letters of a review that the convolution reads: its last ones.": "합성곱이 읽는 글자 수: "
    "영화평의 마지막 글자들.",
    "Letters of the longest n-grams that have an embedding beside the letters.": "글자 옆에 "
    "임베딩을 갖는 가장 긴 n-그램의 글자 수.",
    "Occurrences of such an n-gram in training reviews at least.": "그런 n-그램이 학습 영화평에 "
    "나와야 하는 최소 횟수.",
    "Numbers that stand for a letter or an n-gram in the convolution.": "합성곱에서 글자나 "
    "n-그램 하나를 나타내는 숫자 수.",
    "Neighbouring letters that a filter sees, one convolution for each.": "필터가 보는 이웃 글자 "
    "수. 값마다 합성곱 하나.",
    "Filters of each window of the convolution.": "합성곱의 창 너비마다 필터 수.",
    "Share of embedded letters and of pooled features that each training step drops.": "학습 "
    "단계마다 버리는, 임베딩된 글자와 풀링된 특징의 비율.",
    "Share of letters and n-grams that each training step drops.": "학습 단계마다 빼는 글자와 "
    "n-그램의 비율.",
    "Reviews in a step, convolution.": "한 단계의 영화평 수, 합성곱.",
    "Adam's highest step size, convolution; it rises shortly and falls to 0.": "Adam의 최고 "
    "학습률, 합성곱; 잠시 올랐다가 0까지 내려감.",
    "Passes over the training reviews at most, convolution.": "학습 영화평을 도는 최대 횟수, "
    "합성곱.",
    "Epochs without a lower validation cross-entropy before training stops.": "검증 교차 "
    "엔트로피가 낮아지지 않아도 학습을 멈추기까지 기다리는 에포크 수.",
    "Training reviews that decide when to stop.": "멈출 때를 정하는 학습 영화평 수.",
    "How many of the largest weights of each sign are shown.": "부호마다 보여 줄 가장 큰 가중치의 "
    "수.",
    "Training reviews of the simulated twin, where no real file is found.": "실제 파일이 없을 때 "
    "쓰는 모의 데이터의 학습 영화평 수.",
    "Its test reviews.": "그 테스트 영화평 수.",
    "Normal points of each shape.": "모양마다 정상 점의 수.",
    "Share of anomalies among all rows, above 0 and below 1.": "모든 행에서 이상의 비율 (0보다 "
    "크고 1보다 작게).",
    "Of kNN, LOF and of DBSCAN's core points.": "kNN, LOF, DBSCAN 핵심점의 이웃 수.",
    "One-class SVM: share of training rows that may lie outside.": "단일 클래스 SVM: 밖에 있어도 "
    "되는 학습 행의 비율.",
    "Of the isolation forest.": "고립 숲의 나무 수.",
    "A table of one's own: its columns of numbers, standardised, are judged without "
    "a label.": "내 표: 숫자 열을 표준화하여 라벨 없이 판정.",
    "Widths of the code.": "코드의 너비들.",
    "Width of the non-linear net's other layers.": "비선형 신경망의 다른 층의 너비.",
    "Passes over the rows to train on.": "학습 행을 도는 횟수 (에포크).",
    "Digits to train on, the first ones; the others are held out.": "학습할 앞쪽 숫자 이미지 수; "
    "나머지는 따로 둠.",
    "A table of one's own in place of the digits: its columns of numbers.": "숫자 이미지 대신 쓸 "
    "내 표: 그 숫자 열.",
    "Layers: 6n + 2.": "층의 수: 6n + 2.",
    "identity: option A of the paper; projection: option B; false: the plain net.": "identity: "
    "논문의 A안; projection: B안; false: 지름길 없는 신경망.",
    "Channels of the three stages.": "세 단계의 채널 수.",
    "Training images, rounded down to whole batches.": "학습 이미지 수, 온전한 배치가 되게 내림.",
    "Part of the published training images that is set aside for the curves.": "곡선을 그리려고 "
    "따로 두는 공개 학습 이미지의 비율.",
    "Squares of so many pixels become one (1: 32x32 as published).": "이 크기의 정사각형 픽셀을 "
    "하나로 줄임 (1: 논문대로 32x32).",
    "Optimiser steps, rounded up to whole epochs.": "최적화 단계 수, 온전한 에포크가 되게 올림.",
    "Zeros on each side of a shrunk training image, which is cropped to its size by chance.": ""
    "줄인 학습 이미지 네 변에 두르는 0의 폭; 두른 뒤 원래 크기로 무작위로 잘라 냄.",
    "Of SGD with momentum 0.9; divided by 10 after a half and three quarters of "
    "the steps.": "모멘텀 0.9인 SGD의 학습률; 단계의 절반과 4분의 3에서 10으로 나눔.",
    "Of all weights, before momentum.": "모멘텀 앞에서 모든 가중치의 감쇠.",
    "Labelled digits in the hold-out protocol, and clusters whose representatives "
    "they are.": "따로 둔 데이터 방식의 라벨 수이자, 대표를 뽑을 군집 수.",
    "Labelled digits in the lecture's procedure: of 2023, and of the editions before.": "강의 "
    "절차의 라벨 수: 2023년판과 그 이전 판.",
    "Digits to learn from; the rest is the hold-out.": "배울 숫자 이미지 수; 나머지는 따로 둔 "
    "데이터.",
    "K-means starts; the best is kept.": "K-평균의 시작 횟수; 가장 좋은 것을 씀.",
    "Share of each cluster, farthest from its centre, that takes no label.": "군집마다 중심에서 "
    "가장 멀어 라벨을 받지 않는 비율.",
    "Neighbours in the graph, to choose from.": "그래프의 이웃 수, 그중에서 고름.",
    "How far labels spread, to choose from.": "라벨이 퍼지는 정도, 그중에서 고름.",
    "Neighbours that vote in the last classifier.": "마지막 분류기에서 투표하는 이웃 수.",
    "Numbers of labels in the curve.": "곡선에 쓸 라벨 수들.",
    "A table of one's own: columns of numbers, and a label in some of its rows.": "내 표: 숫자 "
    "열과, 일부 행에만 있는 라벨.",
    "Its column of labels; a row without one has a blank there.": "라벨 열; 라벨이 없는 행은 빈칸.",
    "Your table: CSV (.gz, any separator), Parquet or .xlsx. Default: an invented shop.": "내 표: "
    "CSV(.gz, 구분자 무관), Parquet, .xlsx. 기본값: 지어낸 상점.",
    "Between the cells of a CSV. Default: found out.": "CSV의 칸 구분자. 기본값: 알아서 찾음.",
    "Decimal sign of a CSV. Default: found out.": "CSV의 소수점 기호. 기본값: 알아서 찾음.",
    "Sheet of an Excel file (extra: excel). Default: the first one.": "Excel 파일의 시트 (추가 "
    "설치: excel). 기본값: 첫 시트.",
    "Column that says what is an anomaly, where there is one.": "무엇이 이상인지 알려 주는 열 "
    "(있다면).",
    "The label's value for an anomaly (fraud, say). Default: 1, where the label is 0 "
    "or 1.": "이상을 뜻하는 라벨 값 (예: fraud). 기본값: 라벨이 0과 1이면 1.",
    "Column that orders the rows. Default: the table's only date column.": "행의 순서를 정하는 "
    "열. 기본값: 하나뿐인 날짜 열.",
    "Of a --time column of plain numbers; only alerts a day need it.": "숫자로 된 --time 열의 "
    "단위; 하루 알림 수에만 필요함.",
    "Columns to leave out.": "뺄 열.",
    "Columns that are numbers, whatever they look like.": "어떻게 보이든 숫자로 볼 열.",
    "Columns that are categories, whatever they look like.": "어떻게 보이든 범주로 볼 열.",
    "What the labels are used for; see above.": "라벨을 어디에 쓰는가; 위의 설명 참고.",
    "What decides and is exported; the others are shown beside it where there "
    "are labels.": "판정하고 내보낼 탐지기; 라벨이 있으면 나머지도 나란히 보임.",
    "auto: by time where the table has one.": "auto: 표에 시각이 있으면 시간순.",
    "Share of rows to flag; about how many anomalies you expect.": "경보를 울릴 행의 비율; 이상이 "
    "대략 얼마나 있다고 보는가.",
    "How many alerts a day can be looked at.": "하루에 살펴볼 수 있는 알림 수.",
    "Share of usual rows that may be flagged.": "경보가 울려도 되는 정상 행의 비율.",
    "The lecture's rule: mean + so many standard deviations.": "강의의 규칙: 평균 + 이만큼의 "
    "표준편차.",
    "Share of the alerts that may be false: Benjamini and Hochberg's choice of alerts.": "알림 중 "
    "거짓이어도 되는 비율: 벤야미니-호흐베르크가 고르는 알림.",
    "Cost of an anomaly that nobody was told of; only the ratio to --cost-alert counts.": "아무도 "
    "모르고 지나친 이상의 비용; --cost-alert와의 비율만 중요함.",
    "Cost of looking at an alert.": "알림 하나를 살펴보는 비용.",
    "Rule of the exported scorer. auto: the first in this order that was asked for.": "내보낼 "
    "채점기의 규칙. auto: 이 순서에서 처음으로 요구된 것.",
    "Optimiser steps of the autoencoder and of the classifier, in whole epochs.": "오토인코더와 "
    "분류기의 최적화 단계 수 (온전한 에포크 단위).",
    "Orders of the invented shop, where no file is given.": "파일이 없을 때 지어낼 상점의 주문 수.",
    "Trees of the lecture's forest and of the day forest.": "강의의 숲과 하루 숲의 나무 수.",
    "Trees of each of the forests that the causal variant grows, one a week.": "인과 변형이 한 "
    "주에 하나씩 키우는 숲마다 나무 수.",
    "Share of hours that the lecture calls outliers.": "강의가 이상치라고 부르는 시각의 비율.",
    "The lecture's second threshold on the decision function.": "결정 함수에 대한 강의의 둘째 "
    "임계값.",
    "Share of days flagged by the variant that sees the whole series.": "전체 시계열을 보는 "
    "변형이 경보를 울리는 날의 비율.",
    "Score above which the causal variant flags a day.": "인과 변형이 경보를 울리는 점수.",
    "Causal variant without a fixed level: median + this many MAD-sigmas of "
    "earlier scores.": "고정 수준이 없는 인과 변형: 앞선 점수의 중앙값 + 이만큼의 MAD-시그마.",
    "Days whose scores that threshold needs before it flags one.": "그 임계값이 경보를 울리기 "
    "전에 점수가 있어야 하는 날 수.",
    "Causal variant: how many weeks back the expected day is taken from.": "인과 변형: 예상하는 "
    "날을 몇 주 전까지에서 얻는가.",
    "Causal variant: days over which the level of the season is followed.": "인과 변형: 계절 "
    "수준을 따라가는 날 수.",
    "Causal variant: days that are only learnt from; the first 21 have nothing to expect yet.": ""
    "인과 변형: 배우기만 하는 날 수. 처음 21일은 아직 기대값이 없음.",
    "Hidden layers; even numbers, for a block has two.": "은닉층 수; 블록 하나가 두 층이므로 짝수.",
    "Units of every second layer, and principal components that go in.": "두 층마다의 유닛 수이자 "
    "들어가는 주성분 수.",
    "Units of the layers between.": "그 사이 층의 유닛 수.",
    "Images to train on.": "학습할 이미지 수.",
    "Images held out.": "따로 둘 이미지 수.",
    "Held-out images on which gradients are measured.": "기울기를 잴 따로 둔 이미지 수.",
    "Passes; 100 steps each with the other numbers as they are.": "에포크 수; 다른 값이 그대로면 "
    "100단계씩.",
    "Images in a step; divides `train_rows`.": "한 단계의 이미지 수; `train_rows`의 약수.",
    "Step size.": "학습률.",
    "The depth whose nets the tables and figures show one by one; 0: the middle one.": "표와 "
    "그림이 신경망을 하나씩 보여 줄 깊이; 0: 가운데 깊이.",
    "Simulated beats.": "모의 심박 수.",
    "Principal components of the linear baseline.": "선형 기준선의 주성분 수.",
    "Most epochs of training.": "학습 에포크의 최댓값.",
    "Epochs without a lower validation loss after which training stops.": "검증 손실이 이만큼의 "
    "에포크 동안 내려가지 않으면 학습을 멈춤.",
    "Beats in a step.": "한 단계의 심박 수.",
    "A table of one's own, each row a window, in place of the simulated beats.": "모의 심박 대신 "
    "쓸 내 표, 행 하나가 창 하나.",
    "With --csv: the column that says what a row is.": "--csv와 함께: 행이 무엇인지 말하는 열.",
    "With --csv: the value of that column that stands for normal.": "--csv와 함께: 그 열에서 "
    "정상을 뜻하는 값.",
}
