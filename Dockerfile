# Perch's image: compiled code and production dependencies on Node, run by a user without rights.
#
#   docker build -t perch-proxy:0.1.0 .
#   docker run --rm --read-only --cap-drop=ALL --security-opt=no-new-privileges -p 8080:8080 \
#     -v "$PWD/config:/etc/perch:ro" perch-proxy:0.1.0
#
# The whole folder is mounted, since a mounted single file keeps the inode it started with and never reloads.

# With a digest, node:26-slim@sha256:…, the same image is built again later.
ARG NODE_IMAGE=node:26-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /src
COPY package.json package-lock.json ./
# The one install script among the dependencies brings a Node for checkouts; the image has its own.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build && npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM ${NODE_IMAGE}
# Nothing is installed in this stage, so it needs no package manager.
RUN rm -rf /usr/local/lib/node_modules /usr/local/include /usr/local/bin/npm /usr/local/bin/npx \
      /usr/local/bin/corepack /usr/local/bin/yarn /usr/local/bin/yarnpkg /opt/yarn-*
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Perch" \
      org.opencontainers.image.description="A standalone L7 canary reverse proxy: attribute rules, signed sticky cookies, weighted splits, one YAML file." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
ENV NODE_ENV=production
WORKDIR /app
COPY package.json LICENSE ./
COPY --from=build /src/node_modules ./node_modules
COPY --from=build /src/dist ./dist
# A number, so that Kubernetes can see that it is not root. Everything here belongs to root and is only read.
USER 10001:10001
EXPOSE 8080 9901
# For Docker alone, with the admin server where it is by default; Kubernetes has probes and does not look at this.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:9901/livez').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "dist/cli/main.js"]
CMD ["serve", "-c", "/etc/perch/perch.yaml"]
