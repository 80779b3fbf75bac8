# For those who build with Docker; `make image` makes the same without.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS TARGETARCH VERSION=devel COMMIT= DATE=
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath \
    -ldflags "-s -w -X main.version=$VERSION -X main.commit=$COMMIT -X main.date=$DATE" \
    -o /comet ./cmd/comet

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /comet /usr/local/bin/comet
USER 65532:65532
EXPOSE 8080 9090
ENTRYPOINT ["/usr/local/bin/comet"]
CMD ["serve"]
