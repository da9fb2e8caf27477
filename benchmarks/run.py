"""Measure mien on this machine, everything in one run and on the same pictures.

    python benchmarks/run.py --yunet face_detection_yunet_2023mar.onnx --json results.json

Speed is only worth comparing within one run: what is compared is measured in alternating pairs, and given as
the median of the pairs' ratios.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from matplotlib.cbook import get_sample_data
from numpy.typing import NDArray

import mien
from mien.faces.detect import PointDetector, load_detector
from mien.models import load_model
from mien.models.network import NetworkModel
from mien.runtime import Session
from mien.sources.images import read_image

SIZE_PX = (640, 480)
"""Width and height of the pictures that detectors are timed on."""

BATCHES = (1, 4, 16, 64)
THREADS = (1, 2)

MATMUL = """
import time, numpy as np
a = np.random.default_rng(0).random((1024, 1024), np.float32)
best = float("inf")
for _ in range(20):
    start = time.perf_counter()
    a @ a
    best = min(best, time.perf_counter() - start)
print(1024**3 / best)
"""

IMPORT = "import time; t = time.perf_counter(); import mien; print(time.perf_counter() - t)"

FIRST = """
import sys, time
start = time.perf_counter()
import mien
mien.analyze(sys.argv[1], detector=sys.argv[2], model=sys.argv[3])
print(time.perf_counter() - start)
for line in open("/proc/self/status"):
    if line.startswith(("VmRSS", "VmHWM")):
        print(int(line.split()[1]) / 1024)
"""


def pictures() -> dict[str, NDArray[np.uint8]]:
    """Return photographs that every development environment has, fitted into SIZE_PX, uint8 RGB."""
    from skimage.data import astronaut

    photographs = {
        "Grace Hopper": read_image(get_sample_data("grace_hopper.jpg", asfileobj=False)),
        "astronaut": astronaut(),
    }
    return {name: fit(image) for name, image in photographs.items()}


def fit(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Scale a picture to fit into SIZE_PX and set it on mid grey."""
    scale = min(SIZE_PX[0] / image.shape[1], SIZE_PX[1] / image.shape[0])
    width, height = round(image.shape[1] * scale), round(image.shape[0] * scale)
    canvas = np.full((SIZE_PX[1], SIZE_PX[0], 3), 128, np.uint8)
    left = (SIZE_PX[0] - width) // 2
    canvas[:height, left : left + width] = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return canvas


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Return the median time of a call, after two calls to warm up."""
    return statistics.median(alternate([work], repeats)[0])


def alternate(works: Sequence[Callable[[], object]], repeats: int) -> list[list[float]]:
    """Time several pieces of work in turn, so that all meet the same machine; a list of seconds for each."""
    times: list[list[float]] = [[] for _ in works]
    for turn in range(repeats + 2):
        for work, kept in zip(works, times, strict=True):
            start = time.perf_counter()
            work()
            if turn >= 2:
                kept.append(time.perf_counter() - start)
    return times


def multiply_adds(path: Path, feeds: dict[str, NDArray[Any]]) -> int:
    """Count the multiply-adds of the convolutions and matrix products of one run of an ONNX file.

    The sizes come from a run with every such product, and what it multiplies by, as an output: no axis
    needs to be guessed, and weights may be stored in any way.
    """
    network = onnx.load(path)
    shapes = {tensor.name: tuple(tensor.dims) for tensor in network.graph.initializer}
    nodes = [node for node in network.graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]
    if not nodes:
        return 0
    wanted = sorted({name for node in nodes for name in (node.output[0], node.input[1])} - set(shapes))
    del network.graph.output[:]
    network.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "counted.onnx"
        onnx.save(network, file)
        answers = Session(file).run(feeds, wanted)
    shapes |= {name: answer.shape for name, answer in zip(wanted, answers, strict=True)}
    return sum(math.prod(shapes[node.output[0]]) * _terms(node, shapes[node.input[1]]) for node in nodes)


def _terms(node: onnx.NodeProto, weight: tuple[int, ...]) -> int:
    """Return how many products are added up for one number of a node's output."""
    if node.op_type == "Conv":
        return math.prod(weight[1:])
    flipped = any(a.name == "transB" and a.i for a in node.attribute)
    return weight[-1] if flipped else weight[-2]


def fresh(code: str, *words: str, repeats: int = 1, single_core: bool = False) -> list[list[float]]:
    """Run code in clean processes; return the numbers each printed."""
    # a kernel prescribed for OpenBLAS would hold the yardstick back
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
    if single_core:
        environment |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, *words]
    runs = [
        subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        for _ in range(repeats)
    ]
    return [[float(line) for line in run.stdout.split()] for run in runs]


def time_stages(
    images: dict[str, NDArray[np.uint8]], detector: PointDetector, model: NetworkModel, repeats: int
) -> dict[str, Any]:
    """Return milliseconds of each stage for each picture."""
    result = {}
    for name, image in images.items():
        faces = detector.detect(image)
        crops = model.crop.cut(image, faces.landmarks_xy)
        stages = [
            lambda image=image: detector.detect(image),
            lambda image=image, faces=faces: model.crop.cut(image, faces.landmarks_xy),
            lambda crops=crops: model.predict_proba(crops),
        ]
        medians = [1000 * statistics.median(times) for times in alternate(stages, repeats)]
        result[name] = {
            "faces": len(faces),
            **dict(zip(("detect", "align", "classify"), medians, strict=True)),
        }
    return result


def time_batches(model: NetworkModel, repeats: int, multiply_adds_each: int, rate: float) -> dict[str, Any]:
    """Return faces per second in batches, and the share of one core's matrix-multiply rate that this is."""
    random = np.random.default_rng(0)
    shape = (model.crop.size,) * 2 if model.crop.colour == "grey" else (model.crop.size, model.crop.size, 3)
    result = {}
    for batch in BATCHES:
        crops = random.integers(0, 256, (batch, *shape), np.uint8)
        per_second = batch / seconds(
            lambda crops=crops: model.predict_proba(crops), max(5, repeats * 4 // (batch + 3))
        )
        result[str(batch)] = {
            "faces_per_s": per_second,
            "share_of_matmul": per_second * multiply_adds_each / rate,
        }
    return result


def compare_yunet(
    path: str, images: dict[str, NDArray[np.uint8]], detector: PointDetector, repeats: int
) -> dict[str, Any]:
    """Time OpenCV's FaceDetectorYN beside ours in alternating pairs; YuNet gets the BGR picture it wants."""
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # it warns of a target nobody set
    yunet = cv2.FaceDetectorYN.create(path, "", SIZE_PX, score_threshold=0.6, nms_threshold=0.45)
    result = {}
    for name, image in images.items():
        bgr = np.ascontiguousarray(image[..., ::-1])
        ours, theirs = alternate(
            [lambda image=image: detector.detect(image), lambda bgr=bgr: yunet.detect(bgr)], repeats
        )
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        result[name] = {
            "ours_ms": 1000 * statistics.median(ours),
            "yunet_ms": 1000 * statistics.median(theirs),
            "ratio": middle,
            "ratio_quartiles": [low, high],
            "pairs": repeats,
        }
    return result


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Measure everything that was asked for."""
    images = pictures()
    portrait = str(get_sample_data("grace_hopper.jpg", asfileobj=False))
    rate = max(run[0] for run in fresh(MATMUL, repeats=2, single_core=True))
    imports = [run[0] for run in fresh(IMPORT, repeats=6)[1:]]
    first = fresh(FIRST, portrait, options.detector, options.model, repeats=3)
    results: dict[str, Any] = {
        "machine": machine(),
        "matmul_gflops_one_core": 2 * rate / 1e9,
        "import_ms": 1000 * statistics.median(imports),
        "first_picture_ms": 1000 * statistics.median(run[0] for run in first),
        "peak_memory_mib": statistics.median(run[1] for run in first),
        "memory_mib": statistics.median(run[2] for run in first),
        "threads": {},
    }
    for threads in THREADS:
        cv2.setNumThreads(threads)
        detector = load_detector(options.detector, threads=threads)
        model = load_model(options.model, threads=threads)
        one = {
            n: np.zeros([side or 1 for side in shape], np.float32)
            for n, shape in model.session.input_shapes.items()
        }
        each = results["multiply_adds_per_face"] = multiply_adds(model.session.path, one)
        results["threads"][str(threads)] = {
            "stages_ms": time_stages(images, detector, model, options.repeats),
            "batches": time_batches(model, options.repeats, each, rate),
            "yunet": compare_yunet(options.yunet, images, detector, options.repeats)
            if options.yunet
            else None,
        }
    return results


def machine() -> dict[str, str | int | None]:
    """Return what the numbers were measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"
    )
    packages = ("numpy", "opencv-python-headless", "onnxruntime")
    versions = {name: metadata.version(name) for name in packages}
    facts = {
        "processor": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "mien": mien.__version__,
    }
    return facts | versions


def show(results: dict[str, Any]) -> None:
    """Print the results as text."""
    print(", ".join(f"{key} {value}" for key, value in results["machine"].items()))
    lines = {
        "matrix multiply, one core": (results["matmul_gflops_one_core"], "GFLOP/s"),
        "import mien": (results["import_ms"], "ms"),
        "import and first picture": (results["first_picture_ms"], "ms"),
        "memory after one picture": (results["memory_mib"], f"MiB (peak {results['peak_memory_mib']:.0f})"),
        "network": (results["multiply_adds_per_face"] / 1e6, "million multiply-adds a face"),
    }
    for what, (value, unit) in lines.items():
        print(f"{what:26}{value:8.1f} {unit}")
    for threads, part in results["threads"].items():
        print(f"\nthreads: {threads}")
        for name, stage in part["stages_ms"].items():
            times = "   ".join(f"{key} {stage[key]:6.2f} ms" for key in ("detect", "align", "classify"))
            print(f"  {name:14} {SIZE_PX[0]} x {SIZE_PX[1]}, faces {stage['faces']}   {times}")
        for batch, speed in part["batches"].items():
            share = f"{speed['share_of_matmul']:.0%} of one core's matrix multiply"
            print(f"  batch of {batch:>2}    {speed['faces_per_s']:8.0f} faces/s   {share}")
        for name, pair in (part["yunet"] or {}).items():
            low, high = pair["ratio_quartiles"]
            print(
                f"  {name:14} ours {pair['ours_ms']:.2f} ms, YuNet in OpenCV {pair['yunet_ms']:.2f} ms: "
                f"ratio {pair['ratio']:.2f} (quartiles {low:.2f} to {high:.2f}, {pair['pairs']} pairs)"
            )


def main() -> None:
    """Measure, print, and write the numbers if asked to."""
    parser = argparse.ArgumentParser(
        description="Measure mien on this machine, in one run on the same pictures."
    )
    parser.add_argument(
        "--yunet", metavar="FILE", help="YuNet's ONNX file, timed in OpenCV beside our detector"
    )
    parser.add_argument("--detector", default="default", help="name or ONNX file")
    parser.add_argument("--model", default="default", help="name or ONNX file")
    parser.add_argument("--repeats", type=int, default=100, help="calls a median is taken of")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write all numbers to this file")
    options = parser.parse_args()
    if options.yunet and not Path(options.yunet).is_file():
        parser.error(f"--yunet: {options.yunet} does not exist")
    if options.repeats < 3:
        parser.error("--repeats: at least 3 are needed")
    results = measure(options)
    show(results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
