// Draws the charts of the page from its block of data; the tables beside them say the same.
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("charts").textContent);
  const TONES = ["--accent", "--good", "--warn", "--back", "--bad", "--calm"];
  const DASHES = [[], [6, 3], [2, 2], [8, 3, 2, 3]];
  const drawn = [];

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const shown = (value, unit) =>
    value === null ? "none" : unit === "%" ? `${(value * 100).toFixed(1)} %` : `${value} ${unit}`;

  const tick = (value, unit) => (unit === "%" ? `${Math.round(value * 100)} %` : String(Number(value.toFixed(2))));

  function options(chart) {
    const across = chart.kind === "bars";
    const values = {
      grid: { color: colour("--line") },
      ticks: { color: colour("--soft"), callback: (value) => tick(value, chart.unit) },
      title: { display: chart.unit !== "%", text: chart.unit === "h" ? "hours" : "days", color: colour("--soft") },
      ...(chart.unit === "%" ? { min: 0, max: 1 } : {}),
    };
    const names = {
      grid: { display: false },
      ticks: {
        color: colour("--soft"),
        autoSkip: !across,
        callback(value) {
          const label = this.getLabelForValue(value);
          return label.length > 28 ? `${label.slice(0, 27)}…` : label;
        },
      },
    };
    return {
      animation: false,
      responsive: true,
      maintainAspectRatio: false,
      indexAxis: across ? "y" : "x",
      interaction: { mode: "index", axis: across ? "y" : "x", intersect: false },
      scales: across ? { x: values, y: names } : { x: names, y: values },
      plugins: {
        legend: { display: chart.series.length > 1, labels: { color: colour("--ink"), boxWidth: 18 } },
        tooltip: {
          callbacks: {
            label: (one) => `${one.dataset.label}: ${shown(one.raw, chart.unit)}`,
            afterLabel: (one) => chart.series[one.datasetIndex].notes[one.dataIndex],
          },
        },
      },
    };
  }

  function draw() {
    drawn.splice(0).forEach((one) => one.destroy());
    Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
    for (const [id, chart] of Object.entries(data)) {
      const datasets = chart.series.map((series, n) => ({
        label: series.label,
        data: series.values,
        borderColor: colour(TONES[n % TONES.length]),
        backgroundColor: colour(TONES[n % TONES.length]),
        borderWidth: chart.kind === "line" ? 2 : 0,
        borderDash: DASHES[n % DASHES.length],
        maxBarThickness: 18,
        pointRadius: 3,
        spanGaps: true,
        clip: 6,
      }));
      const type = chart.kind === "line" ? "line" : "bar";
      drawn.push(
        new Chart(document.getElementById(id), { type, data: { labels: chart.labels, datasets }, options: options(chart) })
      );
    }
  }

  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
