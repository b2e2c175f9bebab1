"""How the page looks: on a screen, and on A4."""

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 1.5rem; background: #fff; color: #1a1a1a;
  font: 14px/1.45 system-ui, "Liberation Sans", "DejaVu Sans", Arial, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; }
h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; border-bottom: 2px solid #1a1a1a; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
p { margin: .2rem 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; border-bottom: 1px solid #1a1a1a; vertical-align: bottom; }
th, td { padding: .2rem .6rem .2rem 0; }
td { border-bottom: 1px solid #ddd; vertical-align: top; overflow-wrap: anywhere; }
th.number, td.number { text-align: right; white-space: nowrap; overflow-wrap: normal; }
section td:first-child { min-width: 11rem; }
td.big { font-size: 1.15rem; font-weight: 600; }
small, .quiet { color: #555; font-size: .85rem; font-weight: 400; }
.unstable { background: #fdf1dc; }
.flag { display: inline-block; background: #8a4b00; color: #fff; font-size: .75rem; font-weight: 600;
  padding: 0 .35rem; border-radius: 2px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: .3rem 0; }
dt { color: #555; } dd { margin: 0; overflow-wrap: anywhere; }
svg { display: block; width: 100%; max-width: 52rem; height: auto; }
svg text { font-size: 11px; fill: #1a1a1a; } svg text.label { font-size: 12px; fill: #444; }
.axis { stroke: #1a1a1a; stroke-width: 1; } .grid { stroke: #e3e3e3; stroke-width: 1; }
.mark { stroke: #d55e00; stroke-width: 1.5; stroke-dasharray: 4 3; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 0 1rem; max-width: 52rem; }
figure { margin: .6rem 0; break-inside: avoid; } figcaption { font-weight: 600; }
.wide { overflow-x: auto; }
.dense { font-size: .8rem; line-height: 1.35; } .dense td { min-width: 5.2rem; }
svg text.over { paint-order: stroke; stroke: #fff; stroke-width: 3px; }
footer { margin-top: 2rem; border-top: 1px solid #1a1a1a; padding-top: .4rem; overflow-wrap: anywhere; }
@media print {
  @page { size: A4; margin: 14mm; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  tr, figure, .block { break-inside: avoid; } h2, h3 { break-after: avoid; }
  thead { display: table-header-group; } .wide { overflow: visible; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
