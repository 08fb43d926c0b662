"use strict";
// Shows what /status.json, /run.json and the two pictures tell, again and again. Every text is set as text, never as HTML.
const EVERY = 3000, SLOW = 20000;
const GROUPS = [
  ["hosts", "Hosts", (row) => row.answers ? (row.in_maintenance ? ["in maintenance", "warn"] : ["on", "good"]) : ["away", "bad"]],
  ["vms", "VMs", (row) => row.drift.length ? ["differs", "warn"] : [row.power, { on: "good", unknown: "warn" }[row.power] || "off"]],
  ["balancers", "Balancers", (row) => row.answers ? [row.holds_vip ? "holds the VIP" : "stands by", row.keepalived === "active" ? "good" : "warn"] : [row.holds_vip === null ? "away" : "does not balance", "bad"]],
  ["api_servers", "API servers", (row) => row.ready === null ? ["unknown", "warn"] : !row.ready ? ["not ready", "bad"] : isDrained(row) ? ["ready, drained", "warn"] : ["ready", "good"]],
  ["datastores", "Datastores", (row) => !row.hosts.length ? ["away", "bad"] : row.lacking.length ? ["not everywhere", "bad"] : row.unknown.length ? ["partly unknown", "warn"] : ["mounted", "good"]],
];
const isDrained = (row) => Object.values(row.balancers || {}).some((state) => state.includes("drain"));
const byId = (id) => document.getElementById(id);
const shown = new Map();
let run = "";

function made(kind, text, name) {
  const element = document.createElement(kind);
  if (text !== undefined) element.textContent = text;
  if (name) element.className = name;
  return element;
}

function seconds(count) {
  const minutes = Math.floor(count / 60), hours = Math.floor(minutes / 60), days = Math.floor(hours / 24);
  if (days) return `${days} d ${hours % 24} h`;
  if (hours) return `${hours} h ${minutes % 60} min`;
  return minutes ? `${minutes} min` : `${count} s`;
}

function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  while (count >= 1000 && unit < units.length - 1) { count /= 1024; unit += 1; }
  return `${+count.toPrecision(3)} ${units[unit]}`;
}

function told(key, value) {
  if (value === null || value === "" || (Array.isArray(value) && !value.length)) return "";
  if (key.endsWith("_seconds")) return seconds(value);
  if (key.endsWith("_mib")) return bytes(value * 1024 * 1024);
  if (key === "size" || key === "free") return bytes(value);
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (Array.isArray(value)) return value.map((one) => typeof one === "object" ? Object.values(one).join(" ") : told("", one)).join(", ");
  if (typeof value === "object") return Object.entries(value).map(([name, one]) => `${name}: ${told(name, one)}`).filter((one) => !one.endsWith(": ")).join(", ");
  return String(value);
}

function labelled(key) {
  return key.replace(/_(seconds|mib)$/, "").replaceAll("_", " ").replace(/\b(vip|cpus?|vms|api|nics)\b/g, (word) => ({ cpus: "CPUs", vms: "VMs", nics: "NICs" })[word] || word.toUpperCase());
}

function list(row) {
  const facts = made("dl");
  for (const [key, value] of Object.entries(row)) {
    const text = key === "name" ? "" : told(key, value);
    if (text) facts.append(made("dt", labelled(key)), made("dd", text, key === "problem" ? "bad" : ""));
  }
  return facts;
}

function card(key, row, [word, mood]) {
  const text = JSON.stringify(row);
  let entry = shown.get(key);
  if (!entry) {
    entry = { element: made("details"), text: "" };
    entry.element.dataset.key = key;
    shown.set(key, entry);
  }
  if (entry.text !== text) {
    const head = made("summary", row.name);
    head.append(made("span", word, mood));
    entry.element.replaceChildren(head, list(row));
    entry.text = text;
  }
  return entry.element;
}

function showFacts(status) {
  const vip = { name: `${status.vip.address}:${status.vip.port}`, ...status.vip };
  const parts = [["vip", "The API", [vip], GROUPS[3][2]], ...GROUPS.map(([key, title, state]) => [key, title, status[key], state])];
  const groups = parts.filter(([, , rows]) => rows.length).map(([key, title, rows, state]) => [title, rows.map((row) => card(`${key}/${row.name}`, row, state(row)))]);
  const facts = byId("facts"), names = JSON.stringify(groups.map(([title, cards]) => [title, cards.map((one) => one.dataset.key)]));
  // Cards are changed in place: what is open stays open, and where somebody reads nothing moves.
  if (facts.dataset.names === names) return;
  facts.dataset.names = names;
  facts.replaceChildren(...groups.flatMap(([title, cards]) => {
    const group = made("div", undefined, "group");
    group.append(...cards);
    return [made("h3", title), group];
  }));
}

function picture(element, address) {
  const width = Math.round(Math.min(element.parentElement.clientWidth + 32, window.innerWidth));
  element.src = `${address}?width=${width}&at=${Date.now()}`;
}

function showRun(told) {
  const now = `${told.run} ${told.events} ${told.lines.length} ${told.lines.at(-1)} ${window.innerWidth}`;
  if (now === run) return;
  run = now;
  const log = byId("log"), atEnd = log.hidden || log.scrollTop + log.clientHeight > log.scrollHeight - 30;
  byId("no-run").hidden = told.run !== null;
  byId("timeline").hidden = log.hidden = told.run === null;
  if (told.run === null) return;
  picture(byId("timeline"), "/timeline.svg");
  log.textContent = told.lines.join("\n");
  if (atEnd) log.scrollTop = log.scrollHeight;
}

async function asked(address) {
  const answer = await fetch(address, { cache: "no-store", signal: AbortSignal.timeout(SLOW) });
  if (!answer.ok) throw new Error(`${address} answers ${answer.status}`);
  return answer.json();
}

async function refresh() {
  if (!document.hidden) {
    const trouble = byId("trouble");
    try {
      showFacts(await asked("/status.json"));
      showRun(await asked("/run.json"));
      picture(byId("lab"), "/status.svg");
      trouble.hidden = true;
    } catch (error) {
      trouble.textContent = `homelab does not answer any more, so this is what was last known (${error.message})`;
      trouble.hidden = false;
    }
  }
  setTimeout(refresh, EVERY);
}

refresh();
