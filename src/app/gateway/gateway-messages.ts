import type { GatewaySpec } from "../../config/compiled-config.ts";
import type { ApiFiles } from "../../config/named-files.ts";
import type { LoaderOptions } from "../config-source.ts";

/** What the thread is started with. */
export interface GatewayStart {
  readonly kind: "start";
  readonly spec: GatewaySpec;
  /** How the file is loaded, beside which the routes of the API stand. */
  readonly loader: LoaderOptions;
  readonly isLeader: boolean;
}

/** From the main thread. */
export type GatewayRequest =
  | GatewayStart
  /** What became of a version of the files: active, or rejected and why. */
  | {
      readonly kind: "loaded";
      readonly version: number;
      readonly problem: string | undefined;
      /** Whether it is active all the same, as it was before. */
      readonly isActive: boolean;
      /** Undefined: as at the start. */
      readonly keys: LoaderOptions["keys"] | undefined;
      /** Of the active configuration without the files; another one may mean that the files do not fit any more. */
      readonly textHash: string;
    }
  | { readonly kind: "leader"; readonly isLeader: boolean };

/** To the main thread. */
export type GatewayReply =
  | { readonly kind: "compiled"; readonly version: number; readonly files: ApiFiles }
  | { readonly kind: "unready"; readonly why: string }
  | {
      readonly kind: "log";
      readonly level: "info" | "warn" | "error";
      readonly fields: Readonly<Record<string, unknown>>;
      readonly message: string;
    };
