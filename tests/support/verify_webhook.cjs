// Verifies a webhook with the library `standardwebhooks` of npm, which knows nothing of Lacuna.
//
// Reads {"key", "headers", "body"} from stdin and prints `verified` or `refused`.

const { Webhook, WebhookVerificationError } = require("standardwebhooks");

const asked = JSON.parse(require("fs").readFileSync(0, "utf8"));
try {
  new Webhook(asked.key).verify(asked.body, asked.headers);
  console.log("verified");
} catch (error) {
  if (!(error instanceof WebhookVerificationError)) throw error;
  console.log("refused");
}
