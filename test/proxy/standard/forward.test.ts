import { describe, expect, it } from "vitest";
import { failureOf } from "../../../src/proxy/standard/undici-errors.ts";

describe("the failure of an error of undici or the system", () => {
  it.each([
    ["ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED", "sent", "tls-failed"],
    ["ERR_SSL_TLSV1_ALERT_UNKNOWN_CA", "sent", "tls-failed"],
    ["ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE", "sent", "tls-failed"],
    ["ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC", "sent", "upstream-malformed"],
    ["ECONNRESET", "sent", "upstream-reset"],
    ["ECONNREFUSED", "not sent", "connect-failed"],
    ["UND_ERR_CONNECT_TIMEOUT", "not sent", "connect-timeout"],
  ])("%s of a request that was %s is %s", (code, sent, wanted) => {
    expect(failureOf(Object.assign(new Error("a message"), { code }), sent === "sent")).toBe(wanted);
  });
});
