import { constants, type Http2Session } from "node:http2";

/** NGHTTP2_ERR_PROTO: the peer violated the protocol, on a stream or on the connection. */
const protocolError = -505;

/** Time between two looks at whether what was queued has been sent. */
const recheckMs = 100;

/**
 * Keeps the fault of one stream from ending the connection of all. For DATA beyond a stream's Content-Length nghttp2
 * resets that stream (RFC 9113 §8.1.1), but node destroys the session, as it does for faults of the connection, with the
 * same error. Only the reset tells them apart: without one, the session is destroyed after all. Until then nghttp2 ignores
 * what follows a fault of the connection.
 *
 * A session is destroyed in the next turn only, whoever asks for it: node frees a closed stream in that turn, and ends the
 * process with an assertion if the session was destroyed before while the stream holds a part of a head that was over the
 * limits. A client could do that by trailers and a GOAWAY.
 */
export class StreamFaults {
  readonly #session: Http2Session;
  readonly #destroy: Http2Session["destroy"];
  /** Faults without the reset of a stream so far. */
  #unexplained = 0;
  #isEnding = false;

  /** Overrides the session's `destroy`, which node calls. */
  constructor(session: Http2Session) {
    this.#session = session;
    this.#destroy = session.destroy.bind(session);
    session.destroy = (error?: Error & { readonly errno?: number }, code?: number) => {
      if (error?.errno === protocolError && code === undefined) this.#onFault();
      else this.#destroyLater(error, code);
    };
  }

  /** Must be called for every stream of the session that closes. */
  streamClosed(code: number | undefined): void {
    if (code === constants.NGHTTP2_PROTOCOL_ERROR && this.#unexplained > 0) this.#unexplained--;
  }

  #destroyLater(error?: Error, code?: number): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    setImmediate(() => this.#destroy(error, code));
  }

  #onFault(): void {
    this.#unexplained++;
    setImmediate(this.#judge);
  }

  readonly #judge = (): void => {
    const session = this.#session;
    if (this.#unexplained === 0 || session.destroyed) return;
    // The reset waits behind what the peer has not read yet.
    if ((session.state.outboundQueueSize ?? 0) > 0) setTimeout(this.#judge, recheckMs).unref();
    else this.#destroy(undefined, constants.NGHTTP2_PROTOCOL_ERROR);
  };
}
