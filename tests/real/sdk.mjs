// The AWS SDK for JavaScript against the engine: prints one JSON document of what it saw.
// Usage: node sdk.mjs FOLDER_WITH_NODE_MODULES PIPELINE APPLICATION GROUP
import { createRequire } from "node:module";
import path from "node:path";

const [folder, pipeline, application, group] = process.argv.slice(2);
const require = createRequire(path.join(folder, "package.json"));
const { CodePipelineClient, GetPipelineStateCommand, GetPipelineCommand } = require("@aws-sdk/client-codepipeline");
const {
  CodeDeployClient,
  GetDeploymentCommand,
  GetDeploymentTargetCommand,
  ListDeploymentsCommand,
  ListDeploymentTargetsCommand,
  waitUntilDeploymentSuccessful,
} = require("@aws-sdk/client-codedeploy");

const codepipeline = new CodePipelineClient({});
const codedeploy = new CodeDeployClient({});

const { pipeline: declared } = await codepipeline.send(new GetPipelineCommand({ name: pipeline }));
const state = await codepipeline.send(new GetPipelineStateCommand({ name: pipeline }));
const { deployments } = await codedeploy.send(
  new ListDeploymentsCommand({ applicationName: application, deploymentGroupName: group }),
);
const deploymentId = deployments[0];
const waited = await waitUntilDeploymentSuccessful({ client: codedeploy, maxWaitTime: 60 }, { deploymentId });
const { deploymentInfo } = await codedeploy.send(new GetDeploymentCommand({ deploymentId }));
const { targetIds } = await codedeploy.send(new ListDeploymentTargetsCommand({ deploymentId }));
const { deploymentTarget } = await codedeploy.send(
  new GetDeploymentTargetCommand({ deploymentId, targetId: targetIds[0] }),
);
let unknown;
try {
  await codepipeline.send(new GetPipelineStateCommand({ name: "no-such-pipeline" }));
} catch (error) {
  unknown = { name: error.name, message: error.message, status: error.$metadata.httpStatusCode };
}
console.log(
  JSON.stringify({
    stages: declared.stages.map((stage) => stage.name),
    states: state.stageStates.map((stage) => stage.latestExecution?.status),
    createdIsDate: state.created instanceof Date,
    waited: waited.state,
    status: deploymentInfo.status,
    createTimeIsDate: deploymentInfo.createTime instanceof Date,
    events: deploymentTarget.ecsTarget.lifecycleEvents.map((event) => [event.lifecycleEventName, event.status]),
    unknown,
  }),
);
