import { fail } from "./failures.js";
import { openSession } from "./session.js";

const STATUSES =
  "submitted|in_review|approved|published|disputed|expired|recorded|rejected|merged|withdrawn|removed";
const ANSWER = { status: new RegExp(`^(${STATUSES})$`) };

/**
 * Where the report of `receipt` stands, after withdrawing it if `action` is "withdraw" and not
 * "status" (docs/protocol.md §6). Spaces and hyphens between the digits are allowed, and Arabic
 * digits. No token goes with the receipt: nothing that is sent tells whose report it is.
 * Throws Failure `invalid-receipt`, `not-found` for a wrong one, and as a session does.
 */
export async function askReceipt(action, receipt, environment) {
  const digits = asciiDigits(receipt).replace(/[\s-]/g, "");
  if (!/^[0-9]{16}$/.test(digits)) fail("invalid-receipt");
  const session = openSession(environment.address, null, environment);
  const json = { receipt: digits };
  return (await session.message(ANSWER, "POST", `/v1/receipts/${action}`, { json })).status;
}

/** `text` with Arabic and Persian digits as 0 to 9. */
export const asciiDigits = (text) =>
  text.replace(/[\u0660-\u0669\u06f0-\u06f9]/g, (digit) => digit.charCodeAt(0) & 15);
