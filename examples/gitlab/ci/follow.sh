#!/bin/sh
# Follow the release of a commit to its end: exit status 0 if, and only if, it is what every request gets then.
#
#   follow.sh PIPELINE COMMIT     with CodeDeploy for ECS behind it; needs the AWS CLI, and no more than to read
#
# What the pipeline says of itself is not asked: its last stage can fail after a version is live, and a deployment
# that succeeded can have been rolled back since.
set -eu

pipeline=$1
commit=$2
every_s=${FOLLOW_EVERY_S:-5}
starts_within_s=${FOLLOW_STARTS_WITHIN_S:-300}

codepipeline() { aws codepipeline "$@" --no-paginate --output text; }

# "ID STATUS" of the newest execution of the commit, "None None" if there is none yet.
execution() {
  found=$(codepipeline list-pipeline-executions --pipeline-name "$pipeline" --max-results 100 --query \
    "pipelineExecutionSummaries[?sourceRevisions[?revisionId=='$commit']] | [0].[pipelineExecutionId, status]")
  echo "${found:-None None}"
}

actions() {
  codepipeline list-action-executions --pipeline-name "$pipeline" --filter "pipelineExecutionId=$id" \
    --query "reverse(actionExecutionDetails)[].[stageName, actionName, status]" | tr '\t' ' '
}

waited_s=0
told=
while :; do
  read -r id status <<END
$(execution)
END
  case $status in
    None)
      if [ "$waited_s" -ge "$starts_within_s" ]; then
        echo "$pipeline has not started for $commit within $starts_within_s s: is it the pipeline of this repository" \
          "and branch, and did the push arrive?" >&2
        exit 1
      fi
      waited_s=$((waited_s + every_s))
      ;;
    InProgress | Stopping)
      seen=$(actions)
      [ "$seen" = "$told" ] || printf '%s\n\n' "$seen"
      told=$seen
      ;;
    *) break ;;
  esac
  sleep "$every_s"
done
echo "$pipeline has ended $commit: $status"
actions

codepipeline list-action-executions --pipeline-name "$pipeline" --filter "pipelineExecutionId=$id" --query \
  "actionExecutionDetails[?status=='Failed'].[stageName, output.executionResult.errorDetails.message]" >&2
deployment=$(codepipeline list-action-executions --pipeline-name "$pipeline" --filter "pipelineExecutionId=$id" --query \
  "actionExecutionDetails[].output.executionResult.externalExecutionId | [?starts_with(@, 'd-')] | [0]")
if [ "$deployment" = None ]; then
  echo "NOT LIVE: $commit was not deployed." >&2
  exit 1
fi

read -r application group <<END
$(aws deploy get-deployment --deployment-id "$deployment" --output text \
  --query "deploymentInfo.[applicationName, deploymentGroupName]")
END
read -r cluster service listener one other <<END
$(aws deploy get-deployment-group --application-name "$application" --deployment-group-name "$group" --output text \
  --query "deploymentGroupInfo.[ecsServices[0].clusterName, ecsServices[0].serviceName,
    loadBalancerInfo.targetGroupPairInfoList[0].[prodTrafficRoute.listenerArns[0], targetGroups[0].name,
    targetGroups[1].name]][]" | tr '\n' '\t')
END
read -r primary serving <<END
$(aws ecs describe-services --cluster "$cluster" --services "$service" --output text \
  --query "services[0].taskSets[?status=='PRIMARY'] | [0].[externalId, loadBalancers[0].targetGroupArn]")
END
# The groups of this service that the production listener leads anything to, by its default or by any rule.
groups=$(aws elbv2 describe-target-groups --names "$one" "$other" --query "TargetGroups[].TargetGroupArn" --output text)
weighted=
for found in $(aws elbv2 describe-rules --listener-arn "$listener" --output text --query \
  "Rules[].Actions[].ForwardConfig.TargetGroups[] | [?Weight > \`0\`].TargetGroupArn"); do
  case " $groups " in
    *"$found"*) case " $weighted " in *" $found "*) ;; *) weighted="$weighted $found" ;; esac ;;
  esac
done

if [ "$primary" = "$deployment" ] && [ "$weighted" = " $serving" ]; then
  echo "LIVE: $commit is what every request gets ($deployment)."
else
  echo "NOT LIVE: $commit came with $deployment, and $primary is what serves." >&2
  exit 1
fi
