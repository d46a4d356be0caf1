"use strict";
// Draws the graphs of a page, which unfold, zoom and follow each other. What comes from a model is text, never markup.
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const LINE = 15, PAD = 10, HEADER = 26, PORT = 1, AT_FIRST = 40, LONGEST = 30, STEP = 1.25;
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = "12px sans-serif";

  const shortened = text => text.length <= LONGEST ? text : `${text.slice(0, 9)}…${text.slice(-LONGEST + 10)}`;
  const width = text => pen.measureText(text).width * 1.08;

  function element(name, attributes = {}, text = "") {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text) made.textContent = text;
    return made;
  }

  // A line through points, round where it bends.
  function path(points) {
    const [first, ...others] = points, last = others.pop();
    const bends = others.map((point, place) => {
      const next = others[place + 1] ?? last;
      return `Q${point.x} ${point.y} ${(point.x + next.x) / 2} ${(point.y + next.y) / 2}`;
    });
    return `M${first.x} ${first.y}${bends.join("")}L${last.x} ${last.y}`;
  }

  // Where boxes and the edges between them lie; found once for all containers that are alike, in both graphs.
  const layouts = new Map();
  function laidOut(boxes, ends) {
    const key = JSON.stringify([boxes.map(({width, height}) => [width, height]), ends]);
    if (!layouts.has(key)) {
      const flow = new dagre.graphlib.Graph();
      flow.setGraph({rankdir: "TB", nodesep: 18, ranksep: 26, marginx: PAD, marginy: PAD, ranker: "tight-tree"});
      boxes.forEach(({width, height}, place) => flow.setNode(String(place), {width, height}));
      for (const end of ends.flat().filter(end => isNaN(end))) flow.setNode(end, {width: PORT, height: PORT});
      for (const [source, target] of ends) flow.setEdge(source, target, {});
      dagre.layout(flow);
      const {width = 0, height = 0} = flow.graph();
      const middles = boxes.map((_, place) => flow.node(String(place)));
      layouts.set(key, {width, height, middles, lines: ends.map(([source, target]) => flow.edge(source, target).points)});
    }
    return layouts.get(key);
  }

  // One graph: items are its nodes and the containers around them.
  class Pane {
    constructor(frame, data, whole, number) {
      this.whole = whole;
      this.number = number;
      this.view = frame.querySelector(".view");
      this.svg = frame.querySelector("svg");
      this.scale = 1;
      this.items = data.items.map((item, id) => ({...item, id, children: [], isOpen: false, isDirty: true}));
      const root = this.items.length;
      this.items.push({name: "", path: "", id: root, within: -1, children: [], isOpen: true, isDirty: true});
      this.root = this.items[root];
      for (const item of this.items.slice(0, root)) {
        if (item.within < 0) item.within = root;
        this.items[item.within].children.push(item);
      }
      this.count(this.root);
      this.lay(data.edges);
      this.openAtFirst();
      this.chosen = this.focused = this.root.children[0];
      this.listen();
    }

    count(item) {
      item.size = item.children.reduce((sum, child) => sum + this.count(child), item.children.length ? 0 : 1);
      item.first = item.children.length ? Math.min(...item.children.map(child => child.first)) : item.id;
      item.children.sort((one, other) => one.first - other.first);
      return item.size;
    }

    // Containers around an item, from the inside out.
    around(item) {
      const found = [];
      for (let id = item.within; id >= 0; id = this.items[id].within) found.push(this.items[id]);
      return found;
    }

    // What leads from where to where in each container: between the items in it, from and to its border.
    lay(edges) {
      for (const item of this.items) item.edges = new Map();
      const add = (container, source, target, words) => {
        const known = container.edges.get(`${source} ${target}`);
        container.edges.set(`${source} ${target}`, {source, target, words: known ? "" : words});
      };
      for (const [from, to, words] of edges) {
        const [sources, targets] = [from, to].map(id => [this.items[id], ...this.around(this.items[id])]);
        const shared = sources.find(item => item.children.length && targets.includes(item));
        const [up, down] = [sources, targets].map(chain => chain.slice(0, chain.indexOf(shared)));
        for (let place = 1; place < up.length; place++) add(up[place], up[place - 1].id, "out", words);
        for (let place = 1; place < down.length; place++) add(down[place], "in", down[place - 1].id, words);
        add(shared, up.at(-1).id, down.at(-1).id, words);
      }
    }

    openAtFirst() {
      let visible = this.root.children.length, queue = [...this.root.children];
      while (queue.length) {
        const item = queue.shift();
        if (!item.children.length || visible + item.children.length - 1 > AT_FIRST) continue;
        visible += item.children.length - 1;
        item.isOpen = true;
        queue.push(...item.children);
      }
    }

    words(item) {
      const held = item.children.length && !item.isOpen ? `${item.size} nodes` : item.shape;
      return [item.name, [item.what, held].filter(Boolean).join(" · "), item.words].filter(Boolean).map(shortened);
    }

    // How large an item is, with all that is open in it; of an open one also where what is in it lies.
    place(item) {
      if (!item.isDirty) return item;
      item.isDirty = false;
      if (!item.isOpen) {
        const lines = this.words(item);
        item.width = Math.max(...lines.map(width)) + 2 * PAD + (item.children.length ? 20 : 0);
        item.height = lines.length * LINE + PAD;
        return item;
      }
      const places = new Map(item.children.map((child, place) => [child.id, String(place)]));
      const edges = [...item.edges.values()].filter(edge => edge.source !== edge.target);
      const ends = edges.map(edge => [edge.source, edge.target].map(end => places.get(end) ?? end));
      const flow = laidOut(item.children.map(child => this.place(child)), ends);
      const least = width(shortened(item.name)) + 2 * PAD + 30;
      item.width = Math.max(flow.width, least);
      item.height = flow.height + HEADER;
      const moved = point => ({x: point.x + (item.width - flow.width) / 2, y: point.y + HEADER});
      item.children.forEach((child, place) => {
        const middle = moved(flow.middles[place]);
        child.x = middle.x - child.width / 2;
        child.y = middle.y - child.height / 2;
      });
      item.lines = flow.lines.map((points, place) => {
        const found = points.map(moved), [source, target] = ends[place];
        if (source === "in") found.unshift({x: found[0].x, y: HEADER});
        if (target === "out") found.push({x: found.at(-1).x, y: item.height});
        return {d: path(found), words: edges[place].words, isLast: target !== "out"};
      });
      return item;
    }

    draw() {
      const root = this.place(this.root);
      this.drawn = new Map();
      const layer = element("g", {transform: `translate(0 ${-HEADER})`});
      this.drawInto(layer, root, 0, -HEADER, 1);
      const arrow = element("marker", {
        id: `arrow${this.whole.number}-${this.number}`, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7,
        orient: "auto",
      });
      arrow.append(element("path", {d: "M0 0L8 4L0 8z", class: "head"}));
      this.svg.replaceChildren(arrow, layer);
      this.svg.setAttribute("viewBox", `0 0 ${root.width} ${root.height - HEADER}`);
      this.zoom(this.scale);
      this.mark();
    }

    drawInto(layer, container, x, y, level) {
      for (const line of container.lines) {
        const drawn = element("path", {d: line.d, class: "edge"});
        if (line.isLast) drawn.setAttribute("marker-end", `url(#arrow${this.whole.number}-${this.number})`);
        if (line.words) drawn.append(element("title", {}, line.words));
        layer.append(drawn);
      }
      for (const item of container.children) {
        item.left = x + item.x;
        item.top = y + item.y;
        const group = element("g", {
          role: "treeitem", tabindex: -1, class: `item ${item.mark} ${item.isOpen ? "open" : ""}`, "data-id": item.id,
          transform: `translate(${item.x} ${item.y})`, "aria-level": level, "aria-label": this.label(item),
        });
        if (item.children.length) group.setAttribute("aria-expanded", item.isOpen);
        group.append(element("title", {}, this.label(item)));
        group.append(element("rect", {width: item.width, height: item.height, rx: 6}));
        this.drawWords(group, item);
        if (item.children.length) {
          const button = element("g", {class: "toggle", transform: `translate(${item.width - 21} 5)`});
          button.append(element("rect", {width: 16, height: 16, rx: 3}), element("path", {d: item.isOpen ? "M4 8h8" : "M4 8h8M8 4v8"}));
          group.append(button);
        }
        this.drawn.set(item.id, group);
        layer.append(group);
        if (item.isOpen) this.drawInto(group, item, item.left, item.top, level + 1);
      }
    }

    drawWords(group, item) {
      const lines = item.isOpen ? [shortened(item.name)] : this.words(item);
      lines.forEach((line, place) => {
        const middle = (item.width - (item.children.length && !item.isOpen ? 20 : 0)) / 2;
        const where = item.isOpen ? {x: PAD, y: 17} : {x: middle, y: PAD / 2 + (place + 0.78) * LINE, "text-anchor": "middle"};
        group.append(element("text", {...where, class: place ? "soft" : "name"}, line));
      });
    }

    label(item) {
      return [item.path || item.name, item.what, item.shape, item.words].filter(Boolean).join(", ");
    }

    mark() {
      for (const [id, group] of this.drawn) {
        group.setAttribute("aria-selected", id === this.chosen.id);
        group.setAttribute("tabindex", id === this.focused.id ? 0 : -1);
      }
      if (!this.drawn.has(this.focused.id)) this.drawn.values().next().value?.setAttribute("tabindex", 0);
    }

    // The item itself where it is seen, else the innermost container around it that is.
    seen(item) {
      return [item, ...this.around(item)].find(each => this.drawn.has(each.id)) ?? this.root.children[0];
    }

    setOpen(item, isOpen) {
      if (!item.children.length || item.isOpen === isOpen || item === this.root) return false;
      item.isOpen = isOpen;
      for (const each of [item, ...this.around(item)]) each.isDirty = true;
      return true;
    }

    setAll(isOpen) {
      for (const item of this.items) this.setOpen(item, isOpen);
      this.draw();
      this.look(this.seen(this.chosen));
    }

    reveal(item) {
      const changed = this.around(item).map(container => this.setOpen(container, true));
      if (changed.some(Boolean)) this.draw();
    }

    // What is in the middle stays there.
    zoom(wanted) {
      const {scrollLeft, scrollTop, clientWidth, clientHeight} = this.view;
      const scale = Math.min(4, Math.max(0.05, wanted)), by = scale / this.scale;
      this.scale = scale;
      const [, , width, height] = this.svg.getAttribute("viewBox").split(" ").map(Number);
      this.svg.setAttribute("width", width * scale);
      this.svg.setAttribute("height", height * scale);
      this.view.scrollLeft = (scrollLeft + clientWidth / 2) * by - clientWidth / 2;
      this.view.scrollTop = (scrollTop + clientHeight / 2) * by - clientHeight / 2;
    }

    fit() {
      const root = this.root;
      this.zoom(Math.min(1, (this.view.clientWidth - 8) / root.width, (this.view.clientHeight - 8) / (root.height - HEADER)));
    }

    // How far below the upper border of what is seen an item is.
    depth(item) {
      return (item.top + Math.min(item.height, 60) / 2) * this.scale - this.view.scrollTop;
    }

    // Bring an item to the middle of what is seen, or so far below its upper border.
    look(item, depth = this.view.clientHeight / 2) {
      const {scrollTop, scrollLeft} = this.view;
      this.view.scrollTop += this.depth(item) - depth;
      this.view.scrollLeft = (item.left + item.width / 2) * this.scale - this.view.clientWidth / 2;
      this.isFollowing = this.view.scrollTop !== scrollTop || this.view.scrollLeft !== scrollLeft;
    }

    // Of some items the one that lies nearest to the middle of what is seen.
    nearest(isWanted) {
      const y = (this.view.scrollTop + this.view.clientHeight / 2) / this.scale;
      const away = item => Math.abs(item.top + item.height / 2 - y);
      const wanted = [...this.drawn.keys()].map(id => this.items[id]).filter(item => !item.isOpen && isWanted(item));
      return wanted.reduce((best, item) => best && away(best) <= away(item) ? best : item, undefined);
    }

    choose(item, hasFocus) {
      this.reveal(item);
      this.chosen = this.focused = item;
      this.mark();
      if (hasFocus) this.drawn.get(item.id).focus({preventScroll: true});
    }

    toggle(item, isOpen = !item.isOpen) {
      if (!this.setOpen(item, isOpen)) return;
      this.draw();
      this.focused = item;
      this.mark();
      this.drawn.get(item.id).focus({preventScroll: true});
      this.whole.followFold(this, item);
    }

    listen() {
      const item = event => this.items[event.target.closest("[data-id]")?.dataset.id];
      this.svg.addEventListener("click", event => {
        const found = item(event);
        if (!found) return;
        if (event.target.closest(".toggle")) this.toggle(found);
        else this.whole.choose(this, found, true, this.depth(found));
      });
      this.svg.addEventListener("dblclick", event => item(event) && this.toggle(item(event)));
      this.svg.addEventListener("keydown", event => this.press(event, item(event)));
      this.view.addEventListener("scroll", () => {
        if (!this.isFollowing) this.whole.followScroll(this);
        this.isFollowing = false;
      });
      this.view.addEventListener("wheel", event => {
        if (!event.ctrlKey && !event.metaKey) return;
        event.preventDefault();
        this.zoom(this.scale * (event.deltaY < 0 ? STEP : 1 / STEP));
      }, {passive: false});
    }

    // The keys of a tree, as the ARIA practices of the W3C have them.
    press(event, item) {
      if (!item || event.altKey || event.ctrlKey || event.metaKey) return;
      const order = [...this.drawn.keys()], place = order.indexOf(item.id);
      const go = id => id !== undefined && this.focus(this.items[id]);
      const keys = {
        ArrowDown: () => go(order[place + 1]),
        ArrowUp: () => go(order[place - 1]),
        Home: () => go(order[0]),
        End: () => go(order.at(-1)),
        ArrowRight: () => item.isOpen ? go(item.children[0]?.id) : this.toggle(item, true),
        ArrowLeft: () => item.isOpen ? this.toggle(item, false) : item.within !== this.root.id && go(item.within),
        Enter: () => this.whole.choose(this, item, true),
        " ": () => this.whole.choose(this, item, true),
      };
      if (!keys[event.key]) return;
      event.preventDefault();
      keys[event.key]();
    }

    focus(item) {
      this.focused = item;
      this.mark();
      this.drawn.get(item.id).focus({preventScroll: true});
      this.look(item);
    }
  }

  // One graph, or two whose items correspond.
  class Graphs {
    constructor(frame, number) {
      const data = JSON.parse(frame.querySelector("script").textContent);
      this.frame = frame;
      this.number = number;
      this.told = frame.querySelector(".told");
      this.panes = [...frame.querySelectorAll(".pane")].map((pane, place) => new Pane(pane, data.graphs[place], this, place));
      this.partners = data.partners.map(pairs => new Map(pairs));
      for (const pane of this.panes) pane.draw();
      frame.querySelector(".tools").hidden = false;
      frame.addEventListener("click", event => this.use(event.target.closest("[data-does]")?.dataset.does));
      const find = frame.querySelector("[type=search]");
      find.addEventListener("keydown", event => event.key === "Enter" && this.find(find.value.trim()));
      for (const link of document.querySelectorAll(`[data-graphs="${number}"]`)) {
        link.addEventListener("click", event => {
          event.preventDefault();
          frame.scrollIntoView();
          const pane = this.panes[Number(link.dataset.side)];
          this.choose(pane, pane.items[Number(link.dataset.item)], true);
        });
      }
    }

    partner(pane, item) {
      return this.panes.length > 1 ? this.partners[pane.number].get(item.id) : undefined;
    }

    other(pane) {
      return this.panes[1 - pane.number];
    }

    // What is clicked at stays where it is, for a second click; all else comes to the middle.
    choose(pane, item, hasFocus, depth) {
      pane.choose(item, hasFocus);
      if (depth === undefined) pane.look(item);
      const partner = this.partner(pane, item);
      if (partner !== undefined) {
        const other = this.other(pane), theirs = other.items[partner];
        other.choose(theirs, false);
        other.look(theirs, depth);
      }
      const sheet = this.frame.querySelector(`template[data-told="${item.told}"]`);
      const name = document.createElement("h3");
      name.textContent = item.path || item.name;
      this.told.replaceChildren(name, ...(sheet ? [sheet.content.cloneNode(true)] : []));
    }

    followFold(pane, item) {
      const partner = this.partner(pane, item);
      if (partner === undefined) return;
      const other = this.other(pane), theirs = other.items[partner];
      if (!theirs.children.length) return;
      other.reveal(theirs);
      if (other.setOpen(theirs, item.isOpen)) other.draw();
      other.look(theirs, pane.depth(item));
    }

    followScroll(pane) {
      const item = pane.nearest(each => this.partner(pane, each) !== undefined);
      if (!item) return;
      const other = this.other(pane);
      other.look(other.seen(other.items[this.partner(pane, item)]), pane.depth(item));
    }

    use(does) {
      for (const pane of does ? this.panes : []) {
        if (does === "in") pane.zoom(pane.scale * STEP);
        if (does === "out") pane.zoom(pane.scale / STEP);
        if (does === "fit") pane.fit();
        if (does === "unfold" || does === "fold") pane.setAll(does === "unfold");
      }
    }

    // What has the words in its path, and of two that correspond one; first what is called so.
    having(wanted) {
      const path = item => item.path.toLowerCase(), away = ({item}) => path(item) !== wanted;
      const has = (pane, id) => id !== undefined && path(pane.items[id]).includes(wanted);
      const isNew = (pane, item) => has(pane, item.id) && !(pane.number && has(this.other(pane), this.partner(pane, item)));
      const found = this.panes.flatMap(pane => pane.items.filter(item => isNew(pane, item)).map(item => ({pane, item})));
      return found.sort((one, other) => away(one) - away(other));
    }

    // Each time the next one.
    find(text) {
      const found = text ? this.having(text.toLowerCase()) : [];
      this.place = text === this.sought ? this.place + 1 : 0;
      this.sought = text;
      const next = found[this.place % found.length];
      if (next) return this.choose(next.pane, next.item, false);
      this.told.replaceChildren(Object.assign(document.createElement("p"), {textContent: text ? `There is no “${text}”.` : ""}));
    }
  }

  document.querySelectorAll(".netviz .graphs").forEach((frame, number) => new Graphs(frame, number));
})();
