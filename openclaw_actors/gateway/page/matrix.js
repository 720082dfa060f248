// What is known of all agents: the letters of `GET /matrix`, and the changes since.

export class Matrix {
  constructor(answer) {
    this.instance = answer.instance;
    this.sequence = answer.sequence;
    this.states = Object.values(answer.states);
    this.providers = answer.providers;
    this.fallback = answer.default;
    this.places = new Map(answer.providers.map((provider, place) => [provider, place]));
    this.agents = new Map();
    const tables = answer.tables.map((letters) => Array.from(letters, (one) => answer.states[one] ?? "nothing"));
    const none = answer.providers.map(() => "nothing");
    for (const agent of answer.agents) {
      // agents with the same answers share an array until one of them changes
      const cells = agent.table < 0 ? none : tables[agent.table];
      this.agents.set(agent.id, { cells, own: false, published: agent.table >= 0 });
    }
  }

  get published() {
    let count = 0;
    for (const agent of this.agents.values()) count += agent.published;
    return count;
  }

  state(agent, provider) {
    return this.agents.get(agent)?.cells[this.places.get(provider)] ?? "nothing";
  }

  // Takes a change in; false when it is about something that this matrix doesn't have.
  apply(change) {
    if (change.sequence <= this.sequence) return true;
    const agent = this.agents.get(change.agent);
    const place = this.places.get(change.provider);
    if (!agent || place === undefined || change.reread_from !== null) return false;
    this.sequence = change.sequence;
    if (!agent.own) {
      agent.cells = agent.cells.slice();
      agent.own = true;
    }
    agent.cells[place] = change.new;
    return true;
  }

  // How many of the given agents' cells are in which state.
  counts(agents, providers) {
    const found = Object.fromEntries(this.states.map((state) => [state, 0]));
    const places = providers.map((provider) => this.places.get(provider));
    for (const agent of agents) {
      const cells = this.agents.get(agent).cells;
      for (const place of places) if (cells[place] in found) found[cells[place]] += 1;
    }
    return found;
  }

  // Providers that at least one agent has something of.
  inUse() {
    const seen = new Set();
    const arrays = new Set();
    for (const agent of this.agents.values()) arrays.add(agent.cells);
    for (const cells of arrays) {
      this.providers.forEach((provider, place) => {
        if (cells[place] !== "missing" && cells[place] !== "nothing") seen.add(provider);
      });
    }
    return this.providers.filter((provider) => seen.has(provider));
  }

  // The agents and providers that filters leave: a state leaves those that have a cell in it.
  shown(filters) {
    let agents = [...this.agents.keys()].filter(matcher(filters.agent));
    let providers = (filters.everything ? this.providers : this.inUse()).filter(matcher(filters.provider));
    const counted = { agents, providers };
    if (filters.states.size) {
      const places = providers.map((provider) => this.places.get(provider));
      const hit = new Set();
      agents = agents.filter((agent) => {
        const cells = this.agents.get(agent).cells;
        let has = false;
        for (const place of places) {
          if (filters.states.has(cells[place])) {
            hit.add(place);
            has = true;
          }
        }
        return has;
      });
      providers = providers.filter((provider) => hit.has(this.places.get(provider)));
    }
    return { agents, providers, counted };
  }
}

// Words between spaces or commas: one of them has to be in the name.
function matcher(text) {
  const words = text.toLowerCase().split(/[\s,]+/).filter(Boolean);
  return (name) => !words.length || words.some((word) => name.includes(word));
}
