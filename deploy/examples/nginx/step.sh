#!/bin/sh
# Puts a step's file in the place of Perch's configuration: sh deploy/examples/nginx/step.sh 2-rule
set -eu
file=$(dirname "$0")/steps/$1.yaml
[ -f "$file" ] || { echo "no step $1 in $(dirname "$0")/steps" >&2; exit 2; }
kubectl create configmap perch-config --from-file=perch.yaml="$file" --dry-run=client --output=yaml | kubectl apply -f -
