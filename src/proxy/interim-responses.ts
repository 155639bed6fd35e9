/**
 * Maximum interim (1xx) responses to one request. A client must be able to read any that it did not ask for (RFC 9110
 * §15.2), but an upstream that sends them without end never answers: above this, its response is malformed.
 */
export const maxInterimResponses = 100;
