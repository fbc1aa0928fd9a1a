// Does with the page what a person would do, and tells the test what became of it.
(async () => {
  const found = { errors: window.errors, failed: [], checks: 0, took: {} };
  const check = (name, held) => { found.checks++; if (!held) found.failed.push(name); };
  const $ = id => document.getElementById(id);
  const drawn = () => new Promise(done => { requestAnimationFrame(() => setTimeout(done)); });
  const press = key => dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  const took = async (name, what) => { const from = performance.now(); what(); await drawn(); found.took[name] = Math.round(performance.now() - from); };
  const at = () => $("detail").textContent;
  try {
    await drawn();
    found.took["first paint"] = Math.round(performance.getEntriesByName("squall-painted")[0].startTime);
    check("the title is the test's", document.title.startsWith("a <b>test</b>: panicked"));
    check("the message is text", $("message").textContent.includes("<script>"));
    check("an event is selected", at().includes("100000"));
    check("lanes are drawn", (() => { const c = $("canvas"), d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data; return d.some((v, i) => i % 4 === 3 && v); })());
    check("plots are shown", $("plots").style.display !== "none" && $("plots").height > 0);
    press("Home"); await drawn();
    check("home is the first event", at().includes("1 of 100000"));
    const before = at();
    await took("step", () => press("ArrowRight"));
    check("a step goes on", at() !== before);
    const steps = [];
    for (let i = 0; i < 50; i++) { const from = performance.now(); press("j"); await drawn(); steps.push(performance.now() - from); }
    found.took["slowest of 50 steps"] = Math.round(Math.max(...steps));
    press("ArrowLeft"); await drawn();
    await took("zoom", () => press("+"));
    for (let i = 0; i < 12; i++) { press("+"); await drawn(); }
    await took("fit", () => press("f"));
    await took("scale", () => press("t")); await took("scale back", () => press("t"));
    $("search").value = "line 99"; await took("search", () => $("search").oninput({ target: $("search") }));
    const hits = $("hits").textContent;
    check("search finds", /^\d+ hits$/.test(hits) && parseInt(hits) > 10);
    await took("hit", () => press("n"));
    check("a hit is selected", at().includes("line 99"));
    check("its place among the hits is told", $("hits").textContent.startsWith("1 of"));
    const rows = document.querySelectorAll(".row").length;
    check("only rows in sight are in the page", rows > 5 && rows < 60);
    $("list").scrollTop = 1e6; await drawn(); await drawn();
    check("the list scrolls", document.querySelectorAll(".row").length > 5);
    document.querySelectorAll(".row")[5].click(); await drawn();
    check("a click selects", document.querySelectorAll(".row.on").length === 1);
    const box = [...document.querySelectorAll("#kinds label")].find(l => l.textContent === "output").firstChild, count = () => parseFloat($("rows").style.height);
    const all = count(); box.click(); await drawn();
    check("kinds can be hidden", count() < all); box.click(); await drawn();
    const ground = () => getComputedStyle(document.body).backgroundColor, light = ground();
    press("d"); await drawn();
    check("there is a dark page", ground() !== light);
    check("faults are listed", $("windows").textContent.includes("partition <\/script> & co"));
  } catch (error) { found.failed.push(String(error.stack || error)); }
  await fetch("/", { method: "POST", body: JSON.stringify(found) });
})();
