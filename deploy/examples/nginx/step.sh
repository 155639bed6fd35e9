#!/bin/sh
# Makes a step's file the configuration of Perch, and applies it: sh deploy/examples/nginx/step.sh 2-rule
set -eu
here=$(dirname "$0")
file=$here/steps/$1.yaml
[ -f "$file" ] || { echo "no step $1 in $here/steps" >&2; exit 2; }
cp "$file" "$here/gateway/perch.yaml"
kubectl apply -k "$here/gateway"
# A changed annotation makes the kubelet update the Pod's files at once; otherwise it takes up to a minute.
for pod in $(kubectl get pods --selector=app.kubernetes.io/name=perch --output=name); do
  kubectl annotate "$pod" "perch-step=$1" --overwrite
done
