"use strict";
// Asks the node how the cluster stands, again and again, and shows it if it is told. Text is only ever set as text.

const PERIOD_MS = 2000;
const NUMBERS = "/front.json", HEALTH = "/v1/health";
const UNDER_WAY = ["placed", "accepted", "preparing", "ready_for_pickup", "handed_over"];
const ENDED = ["completed", "rejected", "canceled"];
const WORDS = {
  enroute_to_pickup: "on the way to the restaurant",
  arrived_at_pickup: "at the restaurant",
  enroute_to_dropoff: "on the way to the door",
  arrived_at_dropoff: "at the door",
};
let asked = NUMBERS; // A node that shows no numbers has none there; that it lives can be seen still.
const numbers = new Intl.NumberFormat("en");

const at = (id) => document.getElementById(id);
const spoken = (word) => WORDS[word] || word.replaceAll("_", " ");

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function row(...parts) {
  const made = element("li");
  made.append(...parts);
  return made;
}

function ago(time, now) {
  const seconds = Math.max(0, Math.round((now - Date.parse(time)) / 1000));
  return seconds < 90 ? `${seconds} s ago` : `${Math.round(seconds / 60)} min ago`;
}

function moved(order) {
  const isUnderWay = order.status === "handed_over" || order.status === "completed";
  return spoken(isUnderWay ? order.delivery_status : order.status);
}

function bar(status, times, most) {
  const meter = element("meter");
  meter.max = Math.max(1, most);
  meter.value = times;
  meter.setAttribute("aria-hidden", "true");
  const name = element("span", spoken(status), times ? "" : "none");
  return row(name, meter, element("span", numbers.format(times), "number"));
}

function show(pulse) {
  const times = (status) => pulse.orders[status] || 0;
  const open = UNDER_WAY.map(times);
  const most = Math.max(...open);
  const couriers = Object.values(pulse.couriers).reduce((sum, times) => sum + times, 0);
  at("couriers").textContent = numbers.format(couriers);
  at("open").textContent = numbers.format(open.reduce((sum, some) => sum + some, 0));
  at("completed").textContent = numbers.format(times("completed"));
  at("nodes").textContent = numbers.format(pulse.nodes.length);
  at("nodes-told").textContent = pulse.nodes.length === 1 ? "node" : "nodes";
  at("orders").replaceChildren(...UNDER_WAY.map((status, place) => bar(status, open[place], most)));
  at("ended").textContent = `Of the last 3 hours: ${ENDED.map((status) =>
    `${numbers.format(times(status))} ${status}`).join(", ")}.`;
  const now = Date.parse(pulse.at);
  const latest = pulse.latest.map((order) => row(element("span", moved(order)),
    element("time", ago(order.at, now))));
  at("latest").replaceChildren(...(latest.length ? latest : [row(element("span", "no order yet"))]));
  at("list").replaceChildren(...pulse.nodes.map((node) => row(element("code", node.node),
    element("span", node.node === pulse.node ? "answers you" : "", "load"))));
  at("markets").textContent = pulse.markets.length
    ? `Markets: ${pulse.markets.join(", ")}` : "No market yet.";
}

function tell(className, text) {
  at("state").className = `state ${className}`;
  at("state").textContent = text;
}

async function look() {
  try {
    const answer = await fetch(asked, { headers: { Accept: "application/json" } });
    if (answer.status === 404) asked = HEALTH;
    else if (!answer.ok) throw new Error(`answered ${answer.status}`);
    else if (asked === NUMBERS) show(await answer.json());
    tell("lives", asked === NUMBERS ? "alive" : "alive; its numbers are for those who run it");
  } catch (error) {
    tell("lost", "not answering");
  }
  setTimeout(look, PERIOD_MS);
}

look();
