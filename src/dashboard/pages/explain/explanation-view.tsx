import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import type { Explanation } from "../../../proxy/explain/explain.ts";
import { count } from "../../format/numbers.ts";
import { Badge } from "../../ui/badge.tsx";
import { Card } from "../../ui/card.tsx";
import { Prose } from "../../ui/prose.tsx";
import { explainWords } from "../../words/explain.ts";
import { foldedTrail } from "./trail.ts";

export function ExplanationView({ explanation }: { readonly explanation: Explanation }) {
  const words = explainWords.value;
  return (
    <>
      <Card title={words.answer} class="verdict">
        <Verdict explanation={explanation} />
        <dl class="facts">
          {factsOf(explanation).map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
      </Card>
      <Card title={words.trail} aside={<Prose text={words.trailHint} />}>
        <Trail trail={explanation.trail} />
      </Card>
    </>
  );
}

function Verdict({ explanation }: { readonly explanation: Explanation }) {
  const words = explainWords.value;
  const { error, redirect, version, served, reason, rule, trail } = explanation;
  if (error !== null) {
    return <Big text={words.noVersion} badge={<Badge tone="bad" text={`${error.status} ${error.code}`} />} />;
  }
  if (redirect !== null) return <Big text={words.redirected(redirect.status)} />;
  if (version === null || served === null) {
    return (
      <>
        <Big text={words.answered} />
        <p>{trail.at(-1)?.detail}</p>
      </>
    );
  }
  const differs = version !== served && <Badge tone="warn" text={words.servesInstead(version, served)} />;
  return (
    <>
      <Big label={words.version} text={served} badge={differs} />
      <p class="verdict-why">
        <span>
          {words.reason} <strong>{reason}</strong>
        </span>
        {rule !== null && (
          <span>
            {words.rule} <strong>{rule}</strong>
          </span>
        )}
      </p>
    </>
  );
}

interface BigProps {
  readonly label?: string;
  readonly text: string;
  readonly badge?: ComponentChildren;
}

function Big({ label, text, badge }: BigProps) {
  return (
    <p class="verdict-big">
      {label !== undefined && <span class="hint">{label} </span>}
      <strong>{text}</strong> {badge}
    </p>
  );
}

type Fact = readonly [name: string, value: ComponentChildren];

function factsOf(explanation: Explanation): readonly Fact[] {
  const words = explainWords.value;
  const names = words.fields;
  const { error, redirect, route, service, release, version, served, attributes, unit, pin } = explanation;
  if (error !== null) return [];
  if (redirect !== null) {
    return [
      [names.route, route],
      [names.location, <code key="location">{redirect.location}</code>],
      ...(redirect.setCookie === null
        ? []
        : [[names.sets, <code key="sets">{redirect.setCookie}</code>] satisfies Fact]),
    ];
  }
  const where: readonly Fact[] = [
    [names.route, route ?? words.none],
    [names.service, service ?? words.none],
    [names.release, release ?? words.none],
  ];
  if (version === null) return where;
  return [
    ...where,
    [names.assigned, version],
    [names.served, served],
    [names.attributes, <Attributes key="attributes" attributes={attributes} />],
    [names.unit, unit === null ? words.none : unitText(unit)],
    [names.pinReceived, pin === null ? words.none : receivedText(pin)],
    [names.pinSet, pin?.wouldSet == null ? words.noPinSet : <code key="pin">{pin.wouldSet}</code>],
  ];
}

function Attributes({ attributes }: Pick<Explanation, "attributes">) {
  const words = explainWords.value;
  const found = Object.entries(attributes);
  if (found.length === 0) return <>{words.none}</>;
  return (
    <ul class="attributes">
      {found.map(([name, value]) => (
        <li key={name}>
          {name}{" "}
          {value === null ? (
            <span class="hint">{words.unknownAttribute}</span>
          ) : (
            <>
              <code>{JSON.stringify(value.value)}</code> <span class="hint">{words.from(value.source)}</span>
            </>
          )}
        </li>
      ))}
    </ul>
  );
}

function unitText({ source, name, value, id }: Exclude<Explanation["unit"], null>) {
  return (
    <>
      {name === null ? source : `${name} ${JSON.stringify(value)}`} <code>{id}</code>
    </>
  );
}

function receivedText({ cookie, received, version }: Exclude<Explanation["pin"], null>) {
  return (
    <>
      <code>{cookie}</code> {version === null ? received : `${received}, ${version}`}
    </>
  );
}

/** By the CLI's words for an outcome: what was met, and what was found wrong. */
const goodOutcomes: ReadonlySet<string> = new Set(["matched", "used", "served", "found", "valid"]);
const badOutcomes: ReadonlySet<string> = new Set([
  "rejected",
  "malformed",
  "none",
  "default-served",
  "fault",
  "limited",
]);

function Trail({ trail }: Pick<Explanation, "trail">) {
  const words = explainWords.value;
  const isAll = useSignal(false);
  const { first, hidden, last } = foldedTrail(trail);
  const step =
    (at: number) =>
    ({ stage, outcome, detail }: Explanation["trail"][number], index: number) => (
      <tr
        key={at + index}
        class={goodOutcomes.has(outcome) ? "trail-met" : badOutcomes.has(outcome) ? "trail-bad" : ""}
      >
        <th scope="row">{stage}</th>
        <td class="nowrap">{outcome}</td>
        <td class="trail-detail">{detail}</td>
      </tr>
    );
  return (
    <table class="trail">
      <thead>
        <tr>
          <th scope="col">{words.stage}</th>
          <th scope="col">{words.outcome}</th>
          <th scope="col">{words.detail}</th>
        </tr>
      </thead>
      <tbody>
        {first.map(step(0))}
        {hidden.length > 0 && !isAll.value && (
          <tr>
            <td colSpan={3}>
              <button type="button" onClick={() => (isAll.value = true)}>
                {words.middle(count(hidden.length))}
              </button>
            </td>
          </tr>
        )}
        {isAll.value && hidden.map(step(first.length))}
        {last.map(step(first.length + hidden.length))}
      </tbody>
    </table>
  );
}
