import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { theme } from "../../../theme.ts";
import { locale } from "../../../words/language.ts";
import type { Marker } from "./markers.ts";
import { type PlotLooks, plotOptions } from "./plot-options.ts";

export interface PlotProps extends PlotLooks {
  readonly times: readonly number[];
  readonly lines: readonly [readonly (number | null)[], readonly (number | null)[]];
  readonly markers: readonly Marker[];
  /** The chart and its latest figures in words. */
  readonly label: string;
  /** Where the cursor is; undefined: nowhere. The same for all charts. */
  readonly onCursor: (index: number | undefined) => void;
}

/** One chart on a canvas. What it draws is drawn anew when data, markers, theme, language or size change. */
export function Plot({ times, lines, markers, label, onCursor, ...looks }: PlotProps) {
  const element = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const shown = useRef<readonly Marker[]>(markers);
  shown.current = markers;
  const marked = markers.map(({ id }) => id).join();
  useEffect(() => {
    const container = element.current;
    if (container === null) return;
    const options = plotOptions(looks, { width: container.clientWidth, markers: () => shown.current, onCursor });
    const made = new uPlot(options, dataOf(times, lines), container);
    plot.current = made;
    const sizes = new ResizeObserver(() => made.setSize({ width: container.clientWidth, height: options.height }));
    sizes.observe(container);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    const redraw = () => made.redraw(false, true);
    scheme.addEventListener("change", redraw);
    return () => {
      scheme.removeEventListener("change", redraw);
      sizes.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, []);
  useEffect(() => {
    plot.current?.setData(dataOf(times, lines));
  }, [times, lines]);
  useEffect(() => {
    plot.current?.redraw(false, true);
  }, [marked, theme.value, locale.value]);
  return <div ref={element} class="plot" role="img" aria-label={label} />;
}

function dataOf(times: PlotProps["times"], [first, second]: PlotProps["lines"]): uPlot.AlignedData {
  return [[...times], [...first], [...second]];
}
