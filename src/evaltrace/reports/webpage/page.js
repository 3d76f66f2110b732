"use strict";
(() => {
  const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

  // A cell without a value is unknown: it stays at the end in either direction.
  const valueOf = (row, column, numeric) => {
    const text = row.cells[column]?.dataset.value;
    if (text === undefined) return null;
    return numeric ? Number(text) : text;
  };

  const compare = (first, second, sign) => {
    if (first === null || second === null) return (first === null) - (second === null);
    const order = typeof first === "number" ? first - second : collator.compare(first, second);
    return sign * order;
  };

  const sort = (table, header) => {
    const descending = header.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const column = header.cellIndex;
    const numeric = header.classList.contains("number");
    const body = table.tBodies[0];
    const rows = Array.from(body.rows, (row) => [valueOf(row, column, numeric), row]);
    rows.sort((a, b) => compare(a[0], b[0], descending ? -1 : 1));
    body.append(...rows.map((pair) => pair[1]));
  };

  for (const table of document.querySelectorAll("table")) {
    for (const header of table.tHead.rows[0].cells) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      button.addEventListener("click", () => sort(table, header));
      header.append(button);
    }
  }

  for (const name of document.querySelectorAll(".trace-id")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.setAttribute("aria-label", `Copy ${name.textContent}`);
    button.addEventListener("click", async () => {
      getSelection().selectAllChildren(name);
      try {
        await navigator.clipboard.writeText(name.textContent);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Selected";
      }
    });
    name.after(button);
  }

  const openTarget = () => {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    if (target) for (let at = target; at; at = at.parentElement) if (at.localName === "details") at.open = true;
  };
  addEventListener("hashchange", openTarget);
  openTarget();

  addEventListener("beforeprint", () => {
    for (const part of document.querySelectorAll("details")) part.open = true;
  });
})();
