// Colours. style.css defines them, once for light and once for dark; a canvas needs them as values.

const MONO = '11px ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace';
const SANS = '11px system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif';

function readTheme() {
  const style = getComputedStyle(document.documentElement);
  const value = (name) => style.getPropertyValue(`--${name}`).trim();
  const theme = { dark: value("scheme") === "dark", kinds: [], roles: [], calls: [] };
  for (const name of ["ground", "panel", "stripe", "line", "strong", "ink", "soft", "faint", "accent", "illegal", "unknown", "ok", "match", "note", "commit", "applied", "vote", "snapshot", "cut"]) {
    theme[name] = value(name);
  }
  for (let kind = 0; kind <= KINDS; kind++) theme.kinds.push({ fill: value(`kind-${kind}-fill`), line: value(`kind-${kind}-line`) });
  for (let role = 0; role < ROLES.length; role++) theme.roles.push({ fill: value(`role-${role}-fill`), line: value(`role-${role}-line`) });
  for (let call = 0; call < CALL_COLOURS; call++) theme.calls.push(value(`call-${call}`));
  return theme;
}

/** 0xRRGGBB as a colour, and the text colour that is legible on it. */
function givenColour(number) {
  const [red, green, blue] = [number >> 16, (number >> 8) & 255, number & 255];
  const light = 0.299 * red + 0.587 * green + 0.114 * blue > 140;
  return { fill: `rgb(${red} ${green} ${blue})`, ink: light ? "#1b1d21" : "#ffffff" };
}
