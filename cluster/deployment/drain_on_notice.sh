#!/usr/bin/env bash
# Waits until EC2 says that it takes this spot machine back, two minutes before it does, and then tells Ray: nothing
# more starts here, and trials leave with a checkpoint when their epoch ends.
set -euo pipefail
metadata=${EC2_METADATA:-http://169.254.169.254}
curl="curl --silent --fail --max-time 2"

until
  token=$($curl --request PUT --header "X-aws-ec2-metadata-token-ttl-seconds: 60" "$metadata/latest/api/token") &&
    $curl --output /dev/null --header "X-aws-ec2-metadata-token: $token" \
      "$metadata/latest/meta-data/spot/instance-action"
do
  sleep "${SECONDS_BETWEEN_LOOKS:-5}"
done
exec ray drain-node --reason DRAIN_NODE_REASON_PREEMPTION --deadline-remaining-seconds 110 \
  --reason-message "EC2 takes this spot machine back"
