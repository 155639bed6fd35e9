const endpoints = [
  ["/metrics", "everything counted, in the Prometheus text format"],
  ["/livez", "200 while the process runs"],
  ["/readyz", "200 while it takes requests; 503 before the first configuration and while draining"],
  ["/api/config", "the active configuration, and why the file is not it, where it is not"],
  ["/api/releases", "configured and observed share of each version, rules and their hits, flips"],
  ["/api/endpoints", "what is believed of each endpoint, why, and since when"],
  ["/api/explain?url=http://localhost/", "which version a request gets, and why; also method, header, cookie, client"],
];

const items = endpoints.map(([path, text]) => `<li><a href="${path}">${path}</a>: ${text}</li>`);

/** What a person finds who opens the admin address. */
export const indexPage = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Perch</title>
<h1>Perch</h1>
<ul>
${items.join("\n")}
</ul>
</html>
`;
