"""How the pages of :mod:`mien.outputs.report` look."""

from __future__ import annotations

STYLE = """
:root{color-scheme:light dark;--ground:#fff;--ink:#1d1f23;--soft:#5c636e;--line:#d8dce2;--panel:#f5f6f8;
--link:#0b5ea8;--blue:0 114 178}
@media (prefers-color-scheme:dark){:root{--ground:#15171b;--ink:#e6e8eb;--soft:#a0a7b2;--line:#353a42;
--panel:#1e2127;--link:#7db8ef;--blue:64 150 214}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem 1rem 4rem;max-width:68rem;background:var(--ground);color:var(--ink);
font:1rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;overflow-wrap:break-word}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 .3rem}
h2{font-size:1.35rem;line-height:1.3;margin:2.6rem 0 .6rem;padding-top:.8rem;border-top:1px solid var(--line)}
h3{font-size:1.05rem;margin:1.8rem 0 .4rem}
p{margin:.6rem 0;max-width:46rem}
.subtitle{color:var(--soft);margin:0}
a{color:var(--link)}
nav{margin:1.2rem 0;padding:.7rem 1rem;background:var(--panel);border-radius:.5rem}
nav ul{margin:0;padding:0;list-style:none;display:flex;flex-wrap:wrap;gap:.15rem 1.2rem}
.scroll{overflow-x:auto;margin:1rem 0}
pre{padding:.7rem 1rem;background:var(--panel);border-radius:.5rem;font-size:.85rem}
table{border-collapse:collapse;font-size:.92rem;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--soft);padding:0 0 .4rem;caption-side:top}
th,td{padding:.32rem .7rem;text-align:left;vertical-align:top;border-bottom:1px solid var(--line);
min-width:4rem;max-width:34rem}
thead th{border-bottom:2px solid var(--line);color:var(--soft);font-weight:600;vertical-align:bottom}
tbody th{font-weight:500;position:sticky;left:0;background:var(--ground)}
.number{text-align:right}
td.number{white-space:nowrap}
td[style]{background:rgb(var(--blue)/calc(var(--heat)*.6))}
figure{margin:1rem 0}
img{display:block;max-width:100%;height:auto;border-radius:.25rem}
figcaption{color:var(--soft);font-size:.85rem;line-height:1.35;margin-top:.35rem;max-width:46rem;white-space:pre-line}
.chart img{background:#fff;padding:.5rem;border:1px solid var(--line)}
.gallery{display:flex;flex-wrap:wrap;gap:.9rem;margin:1rem 0;padding:0;list-style:none}
.gallery figure{margin:0;display:table}
.gallery img{min-height:6.8rem;width:auto}
.gallery figcaption{display:table-caption;caption-side:bottom;font-size:.78rem;overflow-wrap:anywhere}
@media print{nav{display:none}.scroll{overflow:visible}h2{break-after:avoid}figure{break-inside:avoid}}
"""
"""The style sheet. Colours are named once for a light ground and once for a dark one."""
