"""One epoch of lab 040's MLP on 25,000 multi-hot reviews of 10,000 words: jaxdl, Keras, PyTorch.

    python benchmarks/imdb_epoch.py [--units 16] [--batch-size 512] [--rounds 5] [--seeds 1]

Two hidden layers with L2 0.001, Adam 1e-3, binary cross-entropy, shuffled each epoch, every row
used; times of training only, after one warm-up epoch. jaxdl reads lists of words (embedding sum);
Keras runs `fit` on the dense float32 matrix of 1 GB, as the course's notebook does (there it is
float64); PyTorch is shown with a dense matrix and with its own sparse form, EmbeddingBag.
"""

import os

import numpy as np
from harness import build, markdown, measure, options, publish, second_epoch, timed, torch_epochs

ROWS, VOCABULARY, L2 = 25_000, 10_000, 1e-3


def reviews() -> dict[str, np.ndarray]:
    """The simulated twin: lengths and word frequencies are close to those of the real reviews."""
    from datasets import imdb
    from datasets.source import Request
    from jaxdl.text import bag_of_words

    half = imdb.load(Request("simulated"), VOCABULARY, ROWS).train
    return bag_of_words.examples(half.tokens, half.starts, half.label, VOCABULARY)


def dense(words: np.ndarray) -> np.ndarray:
    """The multi-hot matrix, float32."""
    matrix = np.zeros((len(words), VOCABULARY + 1), np.float32)
    np.put_along_axis(matrix, words.astype(np.int64), 1.0, axis=1)
    return np.ascontiguousarray(matrix[:, :VOCABULARY])


def jaxdl_peer(data, units, batch_size, seeds):
    from jaxdl.models.text import BagMLP
    from jaxdl.text import sentiment_task

    methods = {"L2": sentiment_task.Regularisation(l2=L2)}
    hyper, members = sentiment_task.methods_times_seeds(methods, range(seeds))
    task = sentiment_task.sentiment_task(BagMLP(VOCABULARY, (units, units)), hyper, 1e-3)

    return second_epoch(task, data, members, batch_size)


def keras_peer(matrix, label, units, batch_size):
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    layer = {"activation": "relu", "kernel_regularizer": keras.regularizers.L2(L2)}
    model = keras.Sequential(
        [
            keras.Input((VOCABULARY,)),
            keras.layers.Dense(units, **layer),
            keras.layers.Dense(units, **layer),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])

    return timed(lambda: model.fit(matrix, label, batch_size=batch_size, epochs=1, verbose=0))


def torch_peer(data, matrix, units, batch_size, device="cpu"):
    """`matrix` None: EmbeddingBag on the lists of words."""
    import torch

    class First(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.bag = torch.nn.EmbeddingBag(
                VOCABULARY + 1, units, mode="sum", padding_idx=VOCABULARY
            )
            self.bias = torch.nn.Parameter(torch.zeros(units))

        def forward(self, words):
            return self.bag(words) + self.bias

    first = First() if matrix is None else torch.nn.Linear(VOCABULARY, units)
    model = torch.nn.Sequential(
        first,
        torch.nn.ReLU(),
        torch.nn.Linear(units, units),
        torch.nn.ReLU(),
        torch.nn.Linear(units, 1),
    ).to(device)
    decay = [p for p in model.parameters() if p.ndim == 2][:-1]
    x = torch.from_numpy(data["x"].astype(np.int32) if matrix is None else matrix).to(device)
    y = torch.from_numpy(data["y"]).to(device)

    def loss(index):
        logits = model(x[index])[:, 0]
        entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, y[index])
        return entropy + L2 * sum(p.square().sum() for p in decay)

    return torch_epochs(model, loss, len(y), batch_size, device)


def main() -> None:
    args = options(__doc__, units=16, batch_size=512, seeds=1).parse_args()
    data = reviews()
    matrix, shape = dense(data["x"]), (args.units, args.batch_size)
    own = "jaxdl" if args.seeds == 1 else f"jaxdl, {args.seeds} seeds at once"
    peers = build(
        {
            own: lambda: jaxdl_peer(data, *shape, args.seeds),
            "PyTorch, dense": lambda: torch_peer(data, matrix, *shape),
            "PyTorch, EmbeddingBag": lambda: torch_peer(data, None, *shape),
            f"Keras, dense, {os.environ.get('KERAS_BACKEND', 'tensorflow')}": lambda: keras_peer(
                matrix, data["y"], *shape
            ),
        }
    )
    title = (
        f"multi-hot MLP {VOCABULARY:,}-{args.units}-{args.units}-1 with L2, {ROWS:,} simulated "
        f"reviews, batch {args.batch_size}, seconds per epoch"
    )
    command = f"python benchmarks/imdb_epoch.py --units {args.units} --batch-size {args.batch_size}"
    if args.seeds > 1:
        command += f" --seeds {args.seeds}"
    table = markdown(title, measure(peers, args.rounds))
    publish(args.record, command.partition("/")[2], "Film reviews: one epoch", table, command)


if __name__ == "__main__":
    main()
