"""Folds as one HTML page that needs nothing else: turn them, see their contacts, choose one.

The page holds its own small program and the folds as JSON; no address is asked for anything.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from html import escape

import numpy as np

from tasks.folding.design import Fold
from tasks.folding.energy import Matrix, matrix_named
from tasks.folding.lattices import lattice_named
from tasks.folding.recheck import recheck
from tasks.folding.view import caption


def page(
    folds: Sequence[Fold],
    matrix: str = "hp",
    proven: Callable[[float], bool] = lambda energy: False,
) -> str:
    """Return an HTML document with a fold a page, drawn by a script of its own.

    `proven` says whether no fold has less energy; it is asked of the lowest only.
    """
    known = matrix_named(matrix)
    lowest = min((recheck(fold, known) for fold in folds), default=0.0)
    sure = cache(lambda energy: energy <= lowest and proven(energy))
    entries = [_entry(fold, known, sure) for fold in folds]
    # within a script only "</" and "<!--" could end or hide it
    text = json.dumps(entries, separators=(",", ":")).replace("<", "\\u003c")
    options = "".join(
        f'<option value="{i}">{i + 1}: {escape(str(entry["title"]))}</option>'
        for i, entry in enumerate(entries)
    )
    return _PAGE.replace("__OPTIONS__", options).replace("__FOLDS__", text)


def _entry(fold: Fold, matrix: Matrix, proven: Callable[[float], bool]) -> dict[str, object]:
    """Return one fold as plain data: points about their middle, contacts that attract."""
    place = lattice_named(fold.lattice)
    points = place.cartesian(fold.coordinates)
    points = points - (points.max(axis=0) + points.min(axis=0)) / 2
    attracts = np.triu(fold.touching & (matrix.pairs(fold.sequence) < 0))
    title, what = caption(fold, matrix, proven)
    return {
        "title": title,
        "what": what,
        "flat": place.dimensions == 2,
        "sequence": fold.sequence,
        "sticky": matrix.hp(fold.sequence),
        "letters": fold.letters,
        "points": np.round(points, 4).tolist(),
        "contacts": np.argwhere(attracts).tolist(),
    }


_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>folds</title>
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'">
<style>
body{font:15px Helvetica,Arial,sans-serif;margin:1.5em;color:#3b4a54;background:#fff}
canvas{border:1px solid #d8dde0;touch-action:none;cursor:grab;max-width:100%}
code{word-break:break-all}#row{display:flex;gap:1.5em;flex-wrap:wrap;align-items:flex-start}
</style></head><body>
<p><select id="which" aria-label="fold">__OPTIONS__</select></p>
<h1 id="title" style="font-size:1.2em"></h1><p id="what"></p>
<div id="row"><canvas id="view" width="560" height="560" role="img"
 aria-label="the fold; drag to turn it"></canvas>
<div><p>Contacts (below: residue against residue)</p>
<canvas id="map" width="320" height="320" role="img" aria-label="contact map"></canvas></div></div>
<p>Drag to turn, wheel to zoom. Filled: hydrophobic, open: polar, ringed: the first residue,
broken lines: contacts that attract.</p><p><code id="letters"></code></p>
<script>
"use strict";
const folds = __FOLDS__;
const view = document.getElementById("view"), pen = view.getContext("2d");
const map = document.getElementById("map"), ink = map.getContext("2d");
let now = 0, turn = 0.5, tilt = 0.4, zoom = 1, from = null;
function place(p) {
  if (folds[now].flat && turn === 0 && tilt === 0) return [p[0], -p[1], 0];
  const c = Math.cos(turn), s = Math.sin(turn), C = Math.cos(tilt), S = Math.sin(tilt);
  const x = p[0] * c - p[1] * s, away = p[0] * s + p[1] * c;
  return [x, -p[2] * C - away * S, p[2] * S - away * C];
}
function draw() {
  const fold = folds[now], spots = fold.points.map(place);
  let reach = 1;
  for (const p of fold.points) reach = Math.max(reach, Math.hypot(p[0], p[1], p[2]));
  const unit = zoom * Math.min(120, 0.42 * view.width / reach), mid = view.width / 2;
  const at = spots.map(p => [mid + unit * p[0], mid + unit * p[1], p[2]]);
  const sizes = at.map(p => unit * (0.22 + 0.05 * p[2] / reach)), shapes = [];
  const line = (i, j, colour, width, dash, back) => shapes.push([(at[i][2] + at[j][2]) / 2 - back,
    () => {  // from rim to rim: it must not lie over a letter
      const x = at[j][0] - at[i][0], y = at[j][1] - at[i][1], far = Math.hypot(x, y) || 1;
      const a = sizes[i] / far, b = 1 - sizes[j] / far;
      if (a > b) return;
      pen.strokeStyle = colour; pen.lineWidth = width; pen.setLineDash(dash); pen.beginPath();
      pen.moveTo(at[i][0] + a * x, at[i][1] + a * y);
      pen.lineTo(at[i][0] + b * x, at[i][1] + b * y); pen.stroke();
      pen.setLineDash([]);
    }]);
  for (const [i, j] of fold.contacts) line(i, j, "#e07a3f", unit / 15, [unit / 12, unit / 9], .02);
  for (let i = 1; i < at.length; i++) line(i - 1, i, "#5c6b75", unit / 8, [], .01);
  at.forEach((p, i) => shapes.push([p[2], () => {
    const size = sizes[i];
    pen.beginPath(); pen.arc(p[0], p[1], size, 0, 7);
    pen.fillStyle = fold.sticky[i] === "H" ? "#1f6f78" : "#f7f3e9"; pen.fill();
    pen.strokeStyle = "#3b4a54"; pen.lineWidth = unit / 22; pen.stroke();
    if (i === 0) {
      pen.beginPath(); pen.arc(p[0], p[1], size * 1.38, 0, 7);
      pen.strokeStyle = "#e07a3f"; pen.lineWidth = unit / 16; pen.stroke();
    }
    if (/[^HP]/.test(fold.sequence)) {
      pen.fillStyle = fold.sticky[i] === "H" ? "#f7f3e9" : "#3b4a54"; pen.textAlign = "center";
      pen.font = size * 1.1 + "px Helvetica, Arial"; pen.fillText(fold.sequence[i], p[0],
        p[1] + size * 0.4);
    }
  }]));
  pen.clearRect(0, 0, view.width, view.height);
  shapes.sort((a, b) => a[0] - b[0]);
  for (const [, shape] of shapes) shape();
}
function contacts() {
  const fold = folds[now], n = fold.sequence.length, cell = map.width / n;
  ink.clearRect(0, 0, map.width, map.height);
  ink.fillStyle = "#d8dde0";
  for (let i = 0; i < n; i++) ink.fillRect(i * cell, i * cell, cell, cell);
  ink.fillStyle = "#e07a3f";
  for (const [i, j] of fold.contacts) {
    ink.fillRect(i * cell, j * cell, cell, cell); ink.fillRect(j * cell, i * cell, cell, cell);
  }
}
function choose(i) {
  now = i; zoom = 1; turn = folds[i].flat ? 0 : 0.5; tilt = folds[i].flat ? 0 : 0.4;
  document.getElementById("title").textContent = folds[i].title;
  document.getElementById("what").textContent = folds[i].what;
  document.getElementById("letters").textContent = folds[i].sequence + "  " + folds[i].letters;
  draw(); contacts();
}
document.getElementById("which").addEventListener("change", e => choose(Number(e.target.value)));
view.addEventListener("pointerdown", e => {
  from = [e.clientX, e.clientY]; view.setPointerCapture(e.pointerId);
});
view.addEventListener("pointermove", e => {
  if (!from) return;
  turn += (e.clientX - from[0]) / 150;
  tilt = Math.max(-1.57, Math.min(1.57, tilt + (e.clientY - from[1]) / 150));
  from = [e.clientX, e.clientY]; draw();
});
view.addEventListener("pointerup", () => { from = null; });
view.addEventListener("wheel", e => {
  e.preventDefault(); zoom = Math.max(0.3, Math.min(6, zoom * Math.exp(-e.deltaY / 800))); draw();
}, {passive: false});
if (folds.length) choose(0);
</script></body></html>
"""
