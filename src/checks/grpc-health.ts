/**
 * The two messages of grpc.health.v1 as octets: HealthCheckRequest { string service = 1 } and HealthCheckResponse
 * { ServingStatus status = 1 }, each behind a flag and its length. Too little to be worth a library of protocol buffers.
 */

const servingStatuses = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"] as const;
export type ServingStatus = (typeof servingStatuses)[number] | "malformed";

/** Names are kept to 256 octets, so that a length takes two octets at most. */
export function healthRequest(service: string): Buffer {
  const name = Buffer.from(service, "utf8");
  const length = name.length < 0x80 ? [name.length] : [(name.length & 0x7f) | 0x80, name.length >> 7];
  const message = name.length === 0 ? Buffer.alloc(0) : Buffer.from([0x0a, ...length, ...name]);
  const frame = Buffer.alloc(5 + message.length);
  frame.writeUInt32BE(message.length, 1);
  message.copy(frame, 5);
  return frame;
}

export function readHealthResponse(frame: Buffer): ServingStatus {
  // Compressed it may only be if we had said that we understand it.
  if (frame.length < 5 || frame[0] !== 0 || frame.readUInt32BE(1) !== frame.length - 5) return "malformed";
  const message = frame.subarray(5);
  // A field that holds its default, 0, is left out.
  if (message.length === 0) return "UNKNOWN";
  const [tag, status = 0] = message;
  return (message.length === 2 && tag === 0x08 && servingStatuses[status]) || "malformed";
}
