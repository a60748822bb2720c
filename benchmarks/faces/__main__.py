"""``python -m benchmarks.faces``: from photographs to a threshold."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.faces.features import Averaged
from benchmarks.faces.judging import judge
from benchmarks.faces.networks import make_network
from benchmarks.faces.page import page
from benchmarks.faces.sources import (
    Alignment,
    Trial,
    bin_trial,
    held_out,
    listed_trial,
    training_images,
)
from benchmarks.faces.training import HEADS, Plan, train
from metricface.data import CropTemplate
from metricface.files import used_alone, write_whole

DESCRIPTION = """\
Photographs or crops or record files -> aligned crops -> a network with a margin head, or the head
and then triplets -> verification by the benchmark's protocol, one threshold, the hardest pairs,
one HTML page.

DATA, what is trained on:
  orl            the ORL faces, 400 pictures of 40 people; with --align they become photographs
                 (turned, scaled, shifted) first
  DIR            one folder of images for each person: crops, or with --align photographs
  FILE.rec, DIR with train.rec
                 insightface's record files (CASIA-WebFace, MS1M), which hold crops

what it is tested on:
  nothing said   --unseen of the people are not trained on, and all pairs of their images are met
  --bin FILE     lfw.bin, cfp_fp.bin, agedb_30.bin: insightface's verification sets
  --pairs FILE --test-images DIR
                 LFW's pairs.txt, or a CSV of first, second, same, and the folder of its images,
                 name/name_0001.jpg; aligned as DATA is
  People of a benchmark who are in DATA as well are not left out: that is for you to see to.

--align mtcnn finds the faces; --align POINTS.csv takes five landmarks that are known.

networks:
  ir-tiny        a residual network of ArcFace's kind, of 570,000 weights at 56 x 56
  ir-18, ir-50   insightface's
  sphereface-20  SphereFace's 20 layers; with --template sphereface the crops are its 112 x 96
  timm:NAME, torchvision:NAME
                 any of these libraries that takes crops of this size, its last layer of --dim
  MODULE:FUNCTION
                 your own: function(dim, (height, width)) gives a network of [B, 3, H, W], -1 to 1
"""

OUTPUT = """\
what the papers' figures use, after training:
  --flip         embeddings of a crop and of its mirror image, averaged
  --two-crops    of the crop and of the inner 7/8 of its sides, enlarged to its size, averaged
  --ema 0.999    the moving average of the weights in place of the last ones

what comes out, in --out:
  page.html      figures, ROC, distances, hardest pairs; needs no other file
  figures.json   the figures; the threshold is on the squared distance of unit embeddings
  network.pt     the weights, a state_dict
  settings.json  what was asked for; other settings of the training are refused in the same folder
  crops/         the aligned crops, and faces.csv: what was found, or why nothing
  training/      checkpoints: give the same command again and a killed run goes on, bit for bit
After the training --flip, --two-crops and the test may be changed: it is not trained again.

examples:
  python -m benchmarks.faces orl --out runs/orl-faces
  python -m benchmarks.faces orl --align mtcnn --flip --out runs/orl-aligned
  python -m benchmarks.faces photographs --align mtcnn --triplet-steps 200 --out runs/mine
  python -m benchmarks.faces faces_webface_112x112 --bin faces_webface_112x112/lfw.bin \\
      --network ir-50 --head arcface --dim 512 --batch 128x4 --steps 32000 --sgd --lr 0.1 \\
      --flip --device cuda --amp --workers 8 --every 1000 --out runs/arcface
  python -m benchmarks.faces CASIA-WebFace --align mtcnn --template sphereface \\
      --pairs pairs.txt --test-images lfw --network sphereface-20 --head sphereface --dim 512 \\
      --batch 64x4 --steps 28000 --sgd --lr 0.1 --flip --device cuda --workers 8 --out runs/sphere
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    arguments = argparse.ArgumentParser(
        prog="python -m benchmarks.faces",
        description=DESCRIPTION,
        epilog=OUTPUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = arguments.add_argument
    add("data", metavar="DATA", help="orl, a folder, or a record file")
    add("--align", metavar="mtcnn|CSV", help="DATA are photographs; who finds the faces in them")
    add("--template", default="arcface", choices=["arcface", "sphereface"], help="default: arcface")
    add("--min-face", type=float, default=40, help="of MTCNN, in pixels; default: 40")
    add(
        "--size", type=_pair, metavar="HxW", help="of the crops; default: 56x56 for orl, or 112x112"
    )
    add("--bin", type=Path, metavar="FILE", help="test on one of insightface's verification sets")
    add("--pairs", type=Path, metavar="FILE", help="test on LFW's pairs.txt, or a CSV of pairs")
    add("--test-images", type=Path, metavar="DIR", help="the images of --pairs")
    add("--unseen", type=float, default=0.2, help="share of the people held out; default: 0.2")
    add("--network", default="ir-tiny", metavar="NAME", help="default: ir-tiny")
    add("--dim", type=int, default=128, help="length of the embedding; default: 128")
    add("--head", default="cosface", choices=sorted(HEADS), help="default: cosface")
    add("--scale", type=float, help="of a head on the sphere; default: the head's own")
    add("--steps", type=int, default=300, help="with the head; default: 300")
    add("--triplet-steps", type=int, default=0, help="after it, semi-hard triplets; default: 0")
    add("--batch", type=_pair, default=(16, 4), metavar="PxK", help="people x images; default 16x4")
    add("--lr", type=float, default=1e-3, help="default: 0.001; of the triplets a tenth of it")
    add("--sgd", action="store_true", help="SGD that falls three times, rather than Adam")
    add("--ema", type=float, help="decay of a moving average of the weights")
    add("--amp", action="store_true", help="run the network in bfloat16")
    add("--every", type=int, default=100, help="steps between checkpoints; default: 100")
    add("--flip", action="store_true", help="average with the mirror image")
    add("--two-crops", action="store_true", help="average with the inner 7/8")
    add("--seed", type=int, default=0, help="default: 0")
    add("--threads", type=int, help="of torch")
    add("--workers", type=int, default=0, help="processes that align and decode; default: 0")
    add("--device", default="cpu", help="default: cpu")
    add("--out", type=Path, required=True, metavar="DIR", help="the run folder")
    return arguments


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Align, train, judge, and write what comes out.

    Returns:
        The figures.

    Raises:
        ValueError: options that do not fit, or a training folder with other settings.
    """
    if (options.pairs is None) != (options.test_images is None):
        raise ValueError("--pairs needs --test-images, the folder of its images, and the reverse")
    if options.bin is not None and options.pairs is not None:
        raise ValueError("give --bin or --pairs, not both")
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError("--device cuda: torch finds no GPU here")
    if options.threads:
        torch.set_num_threads(options.threads)
    out = options.out
    how = None
    if options.align is not None:
        how = Alignment(options.align, options.template, options.min_face, options.workers)
    default = (56, 56) if options.data == "orl" else CropTemplate.named(options.template).size
    size = options.size or default
    images = training_images(options.data, size, how, out)
    images, trial = _trial(options, images, size, how)
    plan = _plan(options)
    torch.manual_seed(options.seed)
    network = make_network(options.network, options.dim, size).to(options.device)
    trained = train(network, images, plan, out / "training", options.dim)
    averaged = Averaged(trained, flip=options.flip, two_crops=options.two_crops)
    judged = judge(averaged, trial, workers=options.workers)
    figures = judged.figures()
    settings = {name: str(value) for name, value in vars(options).items() if value is not None}
    write_whole(out / "network.pt", lambda part: torch.save(trained.state_dict(), part))
    texts = {
        "figures.json": json.dumps(figures, indent=2) + "\n",
        "settings.json": json.dumps(settings, indent=2) + "\n",
        "page.html": page(judged, trial, settings),
    }
    for name, text in texts.items():
        write_whole(out / name, partial(Path.write_text, data=text, encoding="utf-8"))
    return figures


def _trial(
    options: argparse.Namespace, images: Any, size: tuple[int, int], how: Alignment | None
) -> tuple[Any, Trial]:
    """What is left to train on, and the test."""
    if options.bin is not None:
        return images, bin_trial(options.bin, size)
    if options.pairs is not None:
        return images, listed_trial(options.pairs, options.test_images, size, how, options.out)
    return held_out(images, options.unseen, options.seed)


def _plan(options: argparse.Namespace) -> Plan:
    p, k = options.batch
    names = ("head", "steps", "triplet_steps", "scale", "lr", "sgd", "ema", "amp", "every")
    said = {name: getattr(options, name) for name in (*names, "workers", "seed", "device")}
    return Plan(p=p, k=k, **said)


def main(arguments: Sequence[str] | None = None) -> None:
    """The program: errors of the user end it with one sentence."""
    options = parser().parse_args(arguments)
    try:
        with used_alone(options.out):
            figures = run(options)
    except (ValueError, ImportError, OSError) as error:
        sys.exit(f"benchmarks.faces: {error}")
    for name, value in figures.items():
        print(f"{name:<15} {f'{value:.4f}' if isinstance(value, float) else value}")
    print(f"\nthe page: {options.out / 'page.html'}")


def _pair(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"must look like 32x4, got {text!r}")
    return int(match[1]), int(match[2])


if __name__ == "__main__":
    main()
