import type { Limits } from "../../config/compiled-config.ts";
import type { ErrorCode } from "../../errors.ts";
import { hasMoreCookies } from "../../identify/cookies.ts";
import type { ReceivedHead } from "./head.ts";

/** Why a head is more than is taken; undefined where it is not. */
export function headRefusal({ target, rawHeaders, cookies }: ReceivedHead, limits: Limits): ErrorCode | undefined {
  if (target.length > limits.uriBytes) return "uri-too-long";
  if (rawHeaders.length > limits.headerCount * 2) return "headers-too-large";
  return cookies !== undefined && hasMoreCookies(cookies, limits.cookies) ? "headers-too-large" : undefined;
}
